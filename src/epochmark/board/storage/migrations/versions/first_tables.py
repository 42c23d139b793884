"""The first tables: results, documents, cells, bans, decisions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KEY = ("workload", "variant", "engine_family", "tuning", "precision", "device_kind")
HARDWARE = ("chip", "chip_name", "hardware")
FILTERS = (
    "workload", "engine", "tuning", "precision", "device_kind", "chip", "validity", "cell", "key",
)  # fmt: skip
FIGURES = (
    "steady_epoch_s", "steady_epoch_low_s", "steady_epoch_high_s", "samples_per_s", "elapsed_s",
    "test_accuracy",
)  # fmt: skip


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "results",
        sa.Column("number", Number, primary_key=True),
        sa.Column("id", sa.String(12), nullable=False, unique=True),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("received", sa.String(20), nullable=False),
        sa.Column("key", sa.String(64)),
        sa.Column("reason", sa.Text),
        sa.Column("derived_by", sa.Text),
        sa.Column("cell", sa.String(16)),
        *(sa.Column(name, sa.Text) for name in (*KEY, *HARDWARE, "engine", "versions", "validity")),
        *(sa.Column(name, sa.Double) for name in FIGURES),
        sa.Column("measured", sa.String(20)),
    )
    op.create_index("results_by_state", "results", ["state", "number"])
    for name in FILTERS:
        op.create_index(f"results_by_{name}", "results", [name, "state", "number"])
    op.create_table(
        "documents",
        sa.Column("number", Number, sa.ForeignKey("results.number"), primary_key=True),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "cells",
        sa.Column("cell", sa.String(16), primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in (*KEY, *HARDWARE)),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("runs", "valid", "owners")),
        *(sa.Column(name, sa.Double) for name in ("median_s", "low_s", "high_s", "best_s")),
    )
    op.create_index("cells_by_chip", "cells", ["chip"])
    op.create_table(
        "bans",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("since", sa.String(20), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("number", Number, primary_key=True),
        sa.Column("at", sa.String(20), nullable=False),
        sa.Column("action", sa.String(8), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
    )
