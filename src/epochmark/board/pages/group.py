"""The page of a machine group: the owners of like machines that train one way, fastest first."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.context import context_of, number_asked, shown_result, text_asked
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.pages.rendering import page
from epochmark.board.pages.spread import spread_of
from epochmark.board.pages.start import way_of
from epochmark.board.storage.cells import (
    Standing,
    cell_called,
    cells_with,
    owners_of_cell,
    standing,
)

OWNERS = 100
MOST_OTHERS = 50
"""Ways to train on the same machines, those with most owners."""
_CELL = re.compile(r"[0-9a-f]{16}")
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Owner:
    """One of the group: a key, or the id of a result that the operator imported. ``percent`` is the
    length of the bar, of the slowest owner's."""

    name: str
    rank: int
    median_s: float
    runs: int
    percent: float

    @property
    def is_key(self) -> bool:
        return len(self.name) == 64


def group(request: Request) -> Response:
    """The page; ``run`` of the query names a result of the group that is marked. Raises
    ``RefusedError`` (404) where there is no such group, or no such result in it."""
    name = str(request.path_params["cell"])
    start = number_asked(request, "from") or 1
    marked = text_asked(request, ("run",)).get("run")
    with context_of(request).database.reading() as connection:
        cell = cell_called(connection, name) if _CELL.fullmatch(name) else None
        if cell is None:
            raise RefusedError(404, "this board has no such group of machines")
        run = None if marked is None else _run_of(connection, marked, name)
        owners = _owners(connection, cell, start)
        machines = {"hardware": cell.hardware, "device_kind": cell.device_kind}
        others = cells_with(connection, machines, MOST_OTHERS + 1)
        spread = None
        if cell.valid:
            spread = spread_of(connection, cell, None if run is None else run.steady_epoch_s)
        place = _place(connection, run)
    return page(
        request,
        "group.html",
        cell=cell,
        way=way_of(cell),
        spread=spread,
        run=run,
        place=place,
        own=None if run is None else run.key or run.id,
        owners=owners,
        next=_slower(request, start) if start + OWNERS <= cell.owners else None,
        others=[other for other in others if other.cell != name][:MOST_OTHERS],
        way_of=way_of,
    )


def _run_of(connection: sa.Connection, result_id: str, cell: str) -> sa.Row[Any]:
    if _ID.fullmatch(result_id):
        found = shown_result(connection, result_id)
        if found.cell == cell:
            return found
    raise RefusedError(404, "this group has no result of that name")


def _place(connection: sa.Connection, run: sa.Row[Any] | None) -> Standing | None:
    """Where a valid run stands among other owners; None where there are none."""
    if run is None or run.validity != "valid":
        return None
    place = standing(connection, run)
    return place if place.others else None


def _owners(connection: sa.Connection, cell: sa.Row[Any], start: int) -> list[Owner]:
    found = owners_of_cell(connection, cell.cell, start, OWNERS)
    last = owners_of_cell(connection, cell.cell, cell.owners, 1) if found else []
    return [
        Owner(row.owner, rank, row.median_s, row.valid, 100 * row.median_s / last[0].median_s)
        for rank, row in enumerate(found, start)
    ]


def _slower(request: Request, start: int) -> str:
    """The query of the following page."""
    return str(request.url.include_query_params(**{"from": start + OWNERS}).query)
