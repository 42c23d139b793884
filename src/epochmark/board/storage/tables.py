"""The tables as they are now; ``migrations/`` leads an older database here."""

from __future__ import annotations

import sqlalchemy as sa

from epochmark.board.protocol import KEY_PARTS

metadata = sa.MetaData()

Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""SQLite numbers its rows by itself only in a column of its own kind of integer."""

FILTERS = (
    "workload", "engine", "tuning", "precision", "device_kind", "chip", "validity", "cell", "key",
)  # fmt: skip
"""Columns by which a list of results may be narrowed."""

WAY = ("workload", "device_kind", "engine_family", "tuning", "precision", "variant")
"""Columns in which cells are equal that differ only in hardware."""

CHIP = ("chip", "chip_name")
"""Columns in which cells of one chip are equal: several names may share the part of an address that
is made of them."""

results = sa.Table(
    "results",
    metadata,
    sa.Column("number", Number, primary_key=True),
    sa.Column("id", sa.String(12), nullable=False, unique=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("received", sa.String(20), nullable=False),
    sa.Column("key", sa.String(64)),
    sa.Column("reason", sa.Text),
    sa.Column("derived_by", sa.Text),
    sa.Column("cell", sa.String(16)),
    sa.Column("workload", sa.Text),
    sa.Column("variant", sa.Text),
    sa.Column("engine", sa.Text),
    sa.Column("versions", sa.Text),
    sa.Column("engine_family", sa.Text),
    sa.Column("tuning", sa.Text),
    sa.Column("precision", sa.Text),
    sa.Column("device_kind", sa.Text),
    sa.Column("chip", sa.Text),
    sa.Column("chip_name", sa.Text),
    sa.Column("hardware", sa.Text),
    sa.Column("validity", sa.Text),
    sa.Column("steady_epoch_s", sa.Double),
    sa.Column("steady_epoch_low_s", sa.Double),
    sa.Column("steady_epoch_high_s", sa.Double),
    sa.Column("samples_per_s", sa.Double),
    sa.Column("elapsed_s", sa.Double),
    sa.Column("test_accuracy", sa.Double),
    sa.Column("measured", sa.String(20)),
    sa.Index("results_by_state", "state", "number"),
    *(sa.Index(f"results_by_{name}", name, "state", "number") for name in FILTERS),
    sa.Index("results_by_owner", "cell", "key", "state", "validity", "steady_epoch_s"),
    sa.Index("results_by_time", "cell", "state", "validity", "steady_epoch_s"),
)
"""A row for each result ever taken. ``state``: ``shown``, ``held``, ``hidden`` or ``deleted``; a
deleted row is a tombstone, of which only its number, id, digest and dates remain. ``key`` is the
sender's, NULL of what the operator imported. Columns from ``cell`` on are ``derived.Figures``."""

documents = sa.Table(
    "documents",
    metadata,
    sa.Column("number", Number, sa.ForeignKey("results.number"), primary_key=True),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
"""The record of each result that is not deleted, as it was sent, packed; in a table of its own, so
that lists do not read it."""

cells = sa.Table(
    "cells",
    metadata,
    sa.Column("cell", sa.String(16), primary_key=True),
    sa.Column("workload", sa.Text, nullable=False),
    sa.Column("variant", sa.Text, nullable=False),
    sa.Column("engine_family", sa.Text, nullable=False),
    sa.Column("tuning", sa.Text, nullable=False),
    sa.Column("precision", sa.Text, nullable=False),
    sa.Column("device_kind", sa.Text, nullable=False),
    sa.Column("chip", sa.Text, nullable=False),
    sa.Column("chip_name", sa.Text, nullable=False),
    sa.Column("hardware", sa.Text, nullable=False),
    sa.Column("runs", sa.Integer, nullable=False),
    sa.Column("valid", sa.Integer, nullable=False),
    sa.Column("owners", sa.Integer, nullable=False),
    sa.Column("median_s", sa.Double),
    sa.Column("low_s", sa.Double),
    sa.Column("high_s", sa.Double),
    sa.Column("best_s", sa.Double),
    sa.Index("cells_by_chip", "chip", "cell"),
    sa.Index("cells_by_owners", "chip_name", "owners", "cell"),
    sa.Index("cells_by_key", "chip_name", *KEY_PARTS, "owners", "cell"),
    sa.Index("cells_by_hardware", "hardware", "device_kind", "owners", "cell"),
    sa.Index("cells_by_way", *WAY, "median_s", "cell"),
)
"""What the shown results of a cell say together. This and the four tables below are kept in step
with ``results`` by ``keeping.py``, so that no page has to read a cell's results."""

owners = sa.Table(
    "owners",
    metadata,
    sa.Column("cell", sa.String(16), primary_key=True),
    sa.Column("owner", sa.String(64), primary_key=True),
    sa.Column("runs", sa.Integer, nullable=False),
    sa.Column("valid", sa.Integer, nullable=False),
    sa.Column("median_s", sa.Double),
    sa.Column("bucket", sa.Integer),
    sa.Index("owners_by_median", "cell", "bucket", "median_s", "owner"),
)
"""Whose shown results a cell has: a key, or of what the operator imported the result's id.
``median_s`` is of their valid runs, ``bucket`` the narrow range of times that it lies in."""

buckets = sa.Table(
    "buckets",
    metadata,
    sa.Column("cell", sa.String(16), primary_key=True),
    sa.Column("bucket", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("owners", sa.Integer, nullable=False),
)
"""How many owners of a cell have their median in a bucket: a rank is a sum over these."""

ways = sa.Table(
    "ways",
    metadata,
    *(sa.Column(name, sa.Text, primary_key=True) for name in WAY),
    sa.Column("runs", sa.Integer, nullable=False),
    sa.Column("valid", sa.Integer, nullable=False),
    sa.Column("owners", sa.Integer, nullable=False),
)
"""Sums over the cells that were trained in one way on one kind of device."""

chips = sa.Table(
    "chips",
    metadata,
    *(sa.Column(name, sa.Text, primary_key=True) for name in CHIP),
    sa.Column("runs", sa.Integer, nullable=False),
    sa.Column("valid", sa.Integer, nullable=False),
    sa.Column("owners", sa.Integer, nullable=False),
    sa.Index("chips_by_owners", "owners", "chip_name"),
)
"""Likewise over the cells of one chip."""

bans = sa.Table(
    "bans",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("since", sa.String(20), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

decisions = sa.Table(
    "decisions",
    metadata,
    sa.Column("number", Number, primary_key=True),
    sa.Column("at", sa.String(20), nullable=False),
    sa.Column("action", sa.String(8), nullable=False),
    sa.Column("subject", sa.String(64), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Index("decisions_by_subject", "subject", "number"),
)
"""The public log: what the operator decided about which result or key, and why."""
