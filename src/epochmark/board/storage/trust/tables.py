"""The tables of what is known of a result besides its document, and of published results."""

from __future__ import annotations

import sqlalchemy as sa

from epochmark.board.storage.tables import Number, metadata

addresses = sa.Table(
    "addresses",
    metadata,
    sa.Column("number", Number, sa.ForeignKey("results.number"), primary_key=True),
    sa.Column("address", sa.String(32), nullable=False),
    sa.Column("received", sa.String(20), nullable=False),
    sa.Index("addresses_by_received", "received"),
)
"""From where a result came, as a keyed hash, until it is forgotten (``confirmed.py``)."""

confirmations = sa.Table(
    "confirmations",
    metadata,
    sa.Column("number", Number, sa.ForeignKey("results.number"), primary_key=True),
    sa.Column("first", Number, sa.ForeignKey("results.number"), nullable=False),
    sa.Column("second", Number, sa.ForeignKey("results.number"), nullable=False),
    sa.Column("cell", sa.String(16), nullable=False),
    sa.Column("steady_epoch_s", sa.Double, nullable=False),
    sa.Index("confirmations_by_first", "first"),
    sa.Index("confirmations_by_second", "second"),
    sa.Index("confirmations_by_time", "cell", "steady_epoch_s"),
)
"""Results that two others confirm, with their cell and time."""

nonces = sa.Table(
    "nonces",
    metadata,
    sa.Column("nonce", sa.String(32), primary_key=True),
    sa.Column("number", Number, sa.ForeignKey("results.number"), nullable=False),
    sa.Column("key", sa.String(64), nullable=False),
    sa.Column("until", sa.String(20), nullable=False),
    sa.Column("used", sa.Boolean, nullable=False),
    sa.Index("nonces_by_number", "number"),
    sa.Index("nonces_by_until", "until"),
)
"""Numbers that were drawn for extra replays (``witnessed.py``), for some days."""

witnesses = sa.Table(
    "witnesses",
    metadata,
    sa.Column("number", Number, sa.ForeignKey("results.number"), primary_key=True),
    sa.Column("at", sa.String(20), nullable=False),
)
"""Results whose extra replay was right, and when."""

published = sa.Table(
    "published",
    metadata,
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
"""Published results of other machines, as ``analysis.comparing.references`` has them."""
