"""The page of a chip: every cell of it, how its runs are spread, and the runs themselves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.context import context_of, number_asked, query_of_next
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.pages.rendering import page
from epochmark.board.pages.start import way_of
from epochmark.board.storage.cells import (
    Version,
    by_version,
    cells_of_chip,
    newest_runs,
    slowest_of_cell,
)
from epochmark.board.storage.lists import shown_results

RUNS = 50
_SLUG = re.compile(r"[a-z0-9-]{1,60}")
MOST_CELLS = 8
"""On the page, those with most owners; ``cells.csv`` has the others."""
MOST_DOTS = 400
"""Of a drawing: of more runs only the newest are drawn, and their versions compared."""


@dataclass(frozen=True)
class Spread:
    """A cell of a chip: its newest valid runs as dots, and the ends of its interval, in percent of
    the way from the fastest run to the slowest."""

    cell: Any
    way: str
    dots: list[float]
    median: float
    low: float
    high: float
    fastest_s: float
    slowest_s: float
    newest: int
    versions: list[Version]


def chip(request: Request) -> Response:
    """The page. Raises ``RefusedError`` (404) for a chip without results."""
    slug = str(request.path_params["chip"])
    with context_of(request).database.reading() as connection:
        cells = cells_of_chip(connection, slug, MOST_CELLS + 1) if _SLUG.fullmatch(slug) else []
        if not cells:
            raise RefusedError(404, "this board has no results of such a chip")
        spreads = [_spread(connection, cell) for cell in cells[:MOST_CELLS] if cell.valid]
        runs = shown_results(connection, {"chip": slug}, number_asked(request, "before"), RUNS)
    name = cells[0].chip_name
    return page(
        request,
        "chip.html",
        name=name,
        spreads=spreads,
        slug=slug if len(cells) > MOST_CELLS else None,
        page=runs,
        next=query_of_next(request, runs),
        way_of=way_of,
    )


def _spread(connection: sa.Connection, cell: Any) -> Spread:
    newest = newest_runs(connection, cell.cell, MOST_DOTS)
    first, last = cell.best_s, slowest_of_cell(connection, cell.cell)

    def place(value: float) -> float:
        within = min(max(value, first), last)
        return 50.0 if first == last else 100 * (within - first) / (last - first)

    return Spread(
        cell=cell,
        way=way_of(cell),
        dots=sorted(place(run.steady_epoch_s) for run in newest),
        median=place(cell.median_s),
        low=place(cell.low_s),
        high=place(cell.high_s),
        fastest_s=first,
        slowest_s=last,
        newest=min(cell.runs, MOST_DOTS),
        versions=by_version(newest),
    )
