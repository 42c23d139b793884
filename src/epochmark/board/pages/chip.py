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
from epochmark.board.storage.cells import Version, all_cells, by_version, seconds_by_owner
from epochmark.board.storage.lists import shown_results

RUNS = 50
_SLUG = re.compile(r"[a-z0-9-]{1,60}")
MOST_DOTS = 400
"""Of a drawing; of more runs only every second, third, ... is drawn."""


@dataclass(frozen=True)
class Spread:
    """A cell of a chip: its valid runs as dots, and the ends of its interval, in percent of the
    way from the fastest run to the slowest."""

    cell: Any
    way: str
    dots: list[float]
    median: float
    low: float
    high: float
    fastest_s: float
    slowest_s: float
    versions: list[Version]


def chip(request: Request) -> Response:
    """The page. Raises ``RefusedError`` (404) for a chip without results."""
    slug = str(request.path_params["chip"])
    with context_of(request).database.reading() as connection:
        cells = all_cells(connection, chip=slug) if _SLUG.fullmatch(slug) else []
        if not cells:
            raise RefusedError(404, "this board has no results of such a chip")
        spreads = [_spread(connection, cell) for cell in cells if cell.valid]
        runs = shown_results(connection, {"chip": slug}, number_asked(request, "before"), RUNS)
    spreads.sort(key=lambda spread: -spread.cell.owners)
    name = cells[0].chip_name
    return page(
        request,
        "chip.html",
        name=name,
        spreads=spreads,
        page=runs,
        next=query_of_next(request, runs),
        way_of=way_of,
    )


def _spread(connection: sa.Connection, cell: Any) -> Spread:
    by_owner = seconds_by_owner(connection, cell.cell).values()
    ordered = sorted(seconds for of_owner in by_owner for seconds in of_owner)
    first, last = ordered[0], ordered[-1]
    drawn = ordered[:: max(1, len(ordered) // MOST_DOTS)]

    def place(value: float) -> float:
        within = min(max(value, first), last)
        return 50.0 if first == last else 100 * (within - first) / (last - first)

    return Spread(
        cell=cell,
        way=way_of(cell),
        dots=[place(value) for value in drawn],
        median=place(cell.median_s),
        low=place(cell.low_s),
        high=place(cell.high_s),
        fastest_s=first,
        slowest_s=last,
        versions=by_version(connection, cell.cell),
    )
