"""Chips of which results are shown, by the names that their owners use."""

from __future__ import annotations

import sqlalchemy as sa

from epochmark.board.derived.hardware import slug_of
from epochmark.board.storage.tables import cells


def chip_names(connection: sa.Connection, slug: str | None = None) -> list[str]:
    """Names of chips, in order; with a ``slug`` those that share it."""
    chosen = sa.select(cells.c.chip_name).distinct().order_by(cells.c.chip_name)
    if slug is not None:
        chosen = chosen.where(cells.c.chip == slug)
    return [*connection.execute(chosen).scalars()]


def chips_called(connection: sa.Connection, name: str) -> list[str]:
    """Names of chips that someone may mean by this one: exactly it, else those that differ from it
    by marks and capitals only."""
    alike = chip_names(connection, slug_of(name))
    exact = [found for found in alike if found.lower() == name.lower()]
    return exact or alike
