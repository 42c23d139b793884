"""Cells: what the shown results of one comparability key, hardware and kind of device say together.

An owner counts once, by the median of their valid runs, so that who sends most does not decide.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from epochmark.analysis.timing.intervals import median_interval
from epochmark.board.storage.tables import cells, results

KEY = (
    "workload", "variant", "engine_family", "tuning", "precision", "device_kind", "chip",
    "chip_name", "hardware",
)  # fmt: skip
"""Columns in which all results of a cell are equal."""


@dataclass(frozen=True)
class Standing:
    """Among the ``others`` who have valid runs in a result's cell, ``slower`` are slower."""

    slower: int
    others: int


def refresh_cell(connection: sa.Connection, cell: str) -> None:
    """Bring a cell's row in step with its results; one without any is removed."""
    connection.execute(cells.delete().where(cells.c.cell == cell))
    shown = (results.c.cell == cell, results.c.state == "shown")
    columns = [results.c[name] for name in KEY]
    key = connection.execute(sa.select(*columns).where(*shown).limit(1)).one_or_none()
    if key is None:
        return
    runs = connection.execute(sa.select(sa.func.count()).where(*shown)).scalar_one()
    by_owner = seconds_by_owner(connection, cell)
    medians = [statistics.median(seconds) for seconds in by_owner.values()]
    figures: dict[str, float] = {}
    if medians:
        middle = median_interval(medians)
        figures = {"median_s": middle.median, "low_s": middle.low, "high_s": middle.high}
        figures["best_s"] = min(min(seconds) for seconds in by_owner.values())
    valid = sum(len(seconds) for seconds in by_owner.values())
    connection.execute(
        cells.insert().values(
            cell=cell, runs=runs, valid=valid, owners=len(medians), **figures, **key._mapping
        )
    )


def seconds_by_owner(connection: sa.Connection, cell: str) -> dict[str, list[float]]:
    """Seconds per epoch of each owner's valid runs that are shown. A result without a key, which
    the operator imported, is an owner of its own."""
    chosen = sa.select(results.c.key, results.c.id, results.c.steady_epoch_s)
    found: dict[str, list[float]] = {}
    for key, result_id, seconds in connection.execute(chosen.where(*ranked(cell))):
        found.setdefault(key or result_id, []).append(seconds)
    return found


def ranked(cell: str) -> tuple[sa.ColumnElement[bool], ...]:
    """What chooses the results of a cell that are ranked."""
    return (
        results.c.cell == cell,
        results.c.state == "shown",
        results.c.validity == "valid",
        results.c.steady_epoch_s.is_not(None),
    )


def standing(connection: sa.Connection, found: sa.Row[Any]) -> Standing:
    """Where a result stands among the other owners of its cell."""
    by_owner = seconds_by_owner(connection, found.cell)
    by_owner.pop(found.key or found.id, None)
    medians = [statistics.median(seconds) for seconds in by_owner.values()]
    return Standing(sum(other > found.steady_epoch_s for other in medians), len(medians))


def best_of_cell(connection: sa.Connection, cell: str) -> float | None:
    """The fastest valid time of a cell; None without any."""
    return connection.execute(sa.select(cells.c.best_s).where(cells.c.cell == cell)).scalar()


def all_cells(connection: sa.Connection, **equal: str) -> list[sa.Row[Any]]:
    """Cells in which these columns have these values, fastest first, those without a valid run
    last."""
    chosen = sa.select(cells).where(*(cells.c[name] == value for name, value in equal.items()))
    order = (cells.c.median_s.is_(None), cells.c.median_s, cells.c.cell)
    return [*connection.execute(chosen.order_by(*order))]
