"""Chips of which results are shown, by the names that their owners use."""

from __future__ import annotations

import sqlalchemy as sa

from epochmark.board.derived.hardware import slug_of
from epochmark.board.storage.tables import chips

MOST_NAMES = 100
"""That share the part of an address which is made of them."""


def is_chip_known(connection: sa.Connection, slug: str, name: str) -> bool:
    """Whether a result of a chip of exactly this name is shown."""
    chosen = sa.select(chips.c.runs).where(chips.c.chip == slug, chips.c.chip_name == name)
    return connection.execute(chosen).first() is not None


def chips_alike(connection: sa.Connection, slug: str) -> list[str]:
    """Names of chips, in order, that share a part of an address."""
    chosen = sa.select(chips.c.chip_name).where(chips.c.chip == slug)
    return [*connection.execute(chosen.order_by(chips.c.chip_name).limit(MOST_NAMES)).scalars()]


def chips_called(connection: sa.Connection, name: str) -> list[str]:
    """Names of chips that someone may mean by this one: exactly it, else those that differ from it
    by marks and capitals only."""
    alike = chips_alike(connection, slug_of(name))
    exact = [found for found in alike if found.lower() == name.lower()]
    return exact or alike


def common_chips(connection: sa.Connection, count: int) -> list[str]:
    """Names of the chips with most owners."""
    order = (chips.c.owners.desc(), chips.c.chip_name.desc())
    chosen = sa.select(chips.c.chip_name).order_by(*order).limit(count)
    return [*connection.execute(chosen).scalars()]
