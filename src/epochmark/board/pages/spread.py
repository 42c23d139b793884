"""How the valid runs of a cell are spread: what its drawing on a page is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from epochmark.board.pages.start import way_of
from epochmark.board.storage.cells import (
    Version,
    by_version,
    newest_runs,
    slowest_of_cell,
)

MOST_DOTS = 400
"""Of a drawing: of more runs only the newest are drawn, and their versions compared."""


@dataclass(frozen=True)
class Bar:
    """A set of versions, its bar in percent of the slowest."""

    version: Version
    percent: float


@dataclass(frozen=True)
class Spread:
    """A cell: the valid ones of its ``newest`` runs as dots, the ends of its interval, and a
    ``mark`` for one run, in percent of the way from the fastest run to the slowest."""

    cell: Any
    way: str
    dots: list[float]
    median: float
    low: float
    high: float
    mark: float | None
    fastest_s: float
    slowest_s: float
    newest: int
    versions: list[Bar]


def spread_of(connection: sa.Connection, cell: Any, marked_s: float | None = None) -> Spread:
    """Of a cell that has valid runs; ``marked_s`` are the seconds per epoch of the run to mark."""
    runs = newest_runs(connection, cell.cell, MOST_DOTS)
    ends = [cell.best_s, slowest_of_cell(connection, cell.cell)]
    if marked_s is not None:
        ends.append(marked_s)
    first, last = min(ends), max(ends)

    def place(value: float) -> float:
        within = min(max(value, first), last)
        return 50.0 if first == last else 100 * (within - first) / (last - first)

    return Spread(
        cell=cell,
        way=way_of(cell),
        dots=sorted(place(run.steady_epoch_s) for run in runs),
        median=place(cell.median_s),
        low=place(cell.low_s),
        high=place(cell.high_s),
        mark=None if marked_s is None else place(marked_s),
        fastest_s=first,
        slowest_s=last,
        newest=min(cell.runs, MOST_DOTS),
        versions=_bars(by_version(runs)),
    )


def _bars(versions: Sequence[Version]) -> list[Bar]:
    slowest = max((version.median_s for version in versions), default=1.0)
    return [Bar(version, 100 * version.median_s / slowest) for version in versions]
