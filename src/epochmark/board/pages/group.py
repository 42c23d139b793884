"""The page of a machine group: the owners of like machines that train one way, fastest first."""

from __future__ import annotations

import re
import statistics
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
from epochmark.board.storage.cells import Standing, all_cells, seconds_by_owner, standing

OWNERS = 100
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
        cells = all_cells(connection, cell=name) if _CELL.fullmatch(name) else []
        if not cells:
            raise RefusedError(404, "this board has no such group of machines")
        cell = cells[0]
        run = None if marked is None else _run_of(connection, marked, name)
        owners = _owners(connection, name)
        others = all_cells(
            connection, hardware=cell.hardware, device_kind=cell.device_kind, chip=cell.chip
        )
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
        owners=owners[start - 1 : start - 1 + OWNERS],
        next=f"from={start + OWNERS}" if len(owners) >= start + OWNERS else None,
        others=[other for other in others if other.cell != name],
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


def _owners(connection: sa.Connection, cell: str) -> list[Owner]:
    by_owner = seconds_by_owner(connection, cell)
    medians = sorted((statistics.median(times), name) for name, times in by_owner.items())
    slowest = medians[-1][0] if medians else 1.0
    return [
        Owner(name, rank, median, len(by_owner[name]), 100 * median / slowest)
        for rank, (median, name) in enumerate(medians, start=1)
    ]
