"""Owners, buckets and ways, so that no page has to read the results of a cell."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

WAY = ("workload", "device_kind", "engine_family", "tuning", "precision", "variant")
COUNTS = ("runs", "valid", "owners")


def upgrade() -> None:
    """Make the tables; they are filled after the last migration (``database.py``)."""
    op.create_index(
        "results_by_owner", "results", ["cell", "key", "state", "validity", "steady_epoch_s"]
    )
    op.create_index("results_by_time", "results", ["cell", "state", "validity", "steady_epoch_s"])
    op.drop_index("cells_by_chip", "cells")
    op.create_index("cells_by_chip", "cells", ["chip", "cell"])
    op.create_index("cells_by_owners", "cells", ["chip", "owners", "cell"])
    op.create_index("cells_by_hardware", "cells", ["hardware"])
    op.create_index("cells_by_way", "cells", [*WAY, "median_s", "cell"])
    op.create_table(
        "owners",
        sa.Column("cell", sa.String(16), primary_key=True),
        sa.Column("owner", sa.String(64), primary_key=True),
        *(sa.Column(name, sa.Integer, nullable=False) for name in COUNTS[:2]),
        sa.Column("median_s", sa.Double),
        sa.Column("bucket", sa.Integer),
    )
    op.create_index("owners_by_median", "owners", ["cell", "bucket", "median_s"])
    op.create_table(
        "buckets",
        sa.Column("cell", sa.String(16), primary_key=True),
        sa.Column("bucket", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("owners", sa.Integer, nullable=False),
    )
    op.create_table(
        "ways",
        *(sa.Column(name, sa.Text, primary_key=True) for name in WAY),
        *(sa.Column(name, sa.Integer, nullable=False) for name in COUNTS),
    )
