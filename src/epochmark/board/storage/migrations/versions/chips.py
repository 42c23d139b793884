"""Chips by their names, and orders in which pages of chips, groups and decisions are read."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

KEY_PARTS = ("workload", "variant", "engine_family", "tuning", "precision")
INDEXES = {
    "owners_by_median": ("owners", ["cell", "bucket", "median_s", "owner"]),
    "cells_by_owners": ("cells", ["chip_name", "owners", "cell"]),
    "cells_by_key": ("cells", ["chip_name", *KEY_PARTS, "owners", "cell"]),
    "cells_by_hardware": ("cells", ["hardware", "device_kind", "owners", "cell"]),
    "decisions_by_subject": ("decisions", ["subject", "number"]),
    "chips_by_owners": ("chips", ["owners", "chip_name"]),
}
REPLACED = ("owners_by_median", "cells_by_owners", "cells_by_hardware")


def upgrade() -> None:
    """Make the table, which is filled after the last migration, and the indexes."""
    op.create_table(
        "chips",
        *(sa.Column(name, sa.Text, primary_key=True) for name in ("chip", "chip_name")),
        *(sa.Column(name, sa.Integer, nullable=False) for name in ("runs", "valid", "owners")),
    )
    for name, (table, columns) in INDEXES.items():
        if name in REPLACED:
            op.drop_index(name, table)
        op.create_index(name, table, columns)
