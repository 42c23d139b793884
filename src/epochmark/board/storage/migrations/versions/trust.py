"""Witnessed and confirmed results, and published ones of others."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Make the tables."""

    def result(name: str, *, primary_key: bool = False) -> sa.Column[int]:
        return sa.Column(
            name,
            Number,
            sa.ForeignKey("results.number"),
            primary_key=primary_key,
            nullable=False,
        )

    op.create_table(
        "addresses",
        result("number", primary_key=True),
        sa.Column("address", sa.String(32), nullable=False),
        sa.Column("received", sa.String(20), nullable=False),
    )
    op.create_index("addresses_by_received", "addresses", ["received"])
    op.create_table(
        "confirmations",
        result("number", primary_key=True),
        result("first"),
        result("second"),
        sa.Column("cell", sa.String(16), nullable=False),
        sa.Column("steady_epoch_s", sa.Double, nullable=False),
    )
    for name in ("first", "second"):
        op.create_index(f"confirmations_by_{name}", "confirmations", [name])
    op.create_index("confirmations_by_time", "confirmations", ["cell", "steady_epoch_s"])
    op.create_table(
        "nonces",
        sa.Column("nonce", sa.String(32), primary_key=True),
        result("number"),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("until", sa.String(20), nullable=False),
        sa.Column("used", sa.Boolean, nullable=False),
    )
    for name in ("number", "until"):
        op.create_index(f"nonces_by_{name}", "nonces", [name])
    op.create_table(
        "witnesses",
        result("number", primary_key=True),
        sa.Column("at", sa.String(20), nullable=False),
    )
    op.create_table(
        "published",
        sa.Column("id", sa.String(100), primary_key=True),
        sa.Column("machine", sa.Text, nullable=False),
        sa.Column("device", sa.Text, nullable=False),
        sa.Column("device_kind", sa.Text, nullable=False),
        sa.Column("workload", sa.Text, nullable=False),
        sa.Column("way", sa.Text, nullable=False),
        sa.Column("seconds_per_epoch", sa.Double, nullable=False),
        sa.Column("low_s", sa.Double, nullable=False),
        sa.Column("high_s", sa.Double, nullable=False),
        sa.Column("doubt", sa.Text),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("url", sa.Text),
    )
