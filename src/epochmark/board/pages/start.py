"""The start page: one way to train on all machines, fastest first, beside the CPU yardstick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.context import cell_asked, context_of
from epochmark.board.pages.rendering import page
from epochmark.board.storage.cells import (
    all_ways,
    cells_of_way,
    times_by_hardware,
    unranked_of_way,
)
from epochmark.board.storage.published import count_published
from epochmark.workloads import DEFAULT_WORKLOAD

HEADLINE = "torch"
"""The engine that most people train with."""
YARDSTICK = "native"
"""The engine whose code is ours, on the processor."""
_STOCK = "stock"
MOST_LINES = 100
"""Of one page."""
MOST_WAYS = 50
"""To train, that are offered beside the one shown."""
MOST_UNRANKED = 20


@dataclass(frozen=True)
class Line:
    """One hardware: its cell, the length of its bar in percent of the slowest, and the yardstick's
    seconds on it."""

    cell: Any
    percent: float
    yardstick_s: float | None


def way_of(cell: Any) -> str:
    """How the results of a cell were trained, in words: the comparability key without its
    workload."""
    variant = f" ({cell.variant})" if cell.variant else ""
    return f"{cell.engine_family} {cell.tuning}, {cell.precision}{variant}"


def start(request: Request) -> Response:
    """The page, for the workload, the kind of device and the way that were chosen."""
    after = cell_asked(request)
    with context_of(request).database.reading() as connection:
        ways, published = all_ways(connection), count_published(connection)
        workload = _chosen(request, "workload", _runs_by("workload", ways))
        of_workload = [way for way in ways if way.workload == workload]
        device = _chosen(request, "device", _runs_by("device_kind", of_workload))
        there = {way_of(way): way for way in of_workload if way.device_kind == device}
        name = _chosen(request, "way", Counter({name: way.owners for name, way in there.items()}))
        found, unranked, yardstick = [], [], {}
        if there:
            found = cells_of_way(connection, there[name], after, MOST_LINES + 1)
            unranked = unranked_of_way(connection, there[name], MOST_UNRANKED)
        lines = found[:MOST_LINES]
        newest = None if name.startswith(YARDSTICK) else _newest_kernels(there.values())
        if newest is not None:
            hardware = [cell.hardware for cell in lines]
            yardstick = times_by_hardware(connection, newest, hardware)
    return page(
        request,
        "start.html",
        workloads=sorted({way.workload for way in ways}),
        devices=sorted({way.device_kind for way in ways}),
        chosen={"workload": workload, "device": device, "way": name},
        ways=[(other, way.owners) for other, way in there.items()][:MOST_WAYS],
        lines=_lines(lines, yardstick),
        next=_slower(request, lines) if len(found) > MOST_LINES else None,
        unranked=[] if after else unranked,
        results=sum(way.runs for way in ways),
        published=published,
    )


def _runs_by(column: str, ways: Sequence[Any]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for way in ways:
        counts[getattr(way, column)] += way.runs
    return counts


def _slower(request: Request, lines: Sequence[Any]) -> str:
    """The query of the following page."""
    return str(request.url.include_query_params(after=lines[-1].cell).query)


def _chosen(request: Request, choice: str, there: Counter[str]) -> str:
    """What the query names, if it is there, else what is shown by default."""
    asked = request.query_params.get(choice, "")
    if asked in there:
        return asked
    return max(there, key=lambda name: (_is_headline(name), there[name]), default="")


def _is_headline(name: str) -> bool:
    """Of a workload, the default one; of a way, the headline's stock without a variant."""
    stock = name.startswith(f"{HEADLINE} {_STOCK}, ") and "(" not in name
    return stock or name.partition(" ")[0] == DEFAULT_WORKLOAD


def _lines(ranked: Sequence[Any], yardstick: dict[str, float]) -> list[Line]:
    """Hardware with valid runs, fastest first."""
    slowest = max((cell.high_s for cell in ranked), default=1.0)
    return [
        Line(cell, 100 * cell.median_s / slowest, yardstick.get(cell.hardware)) for cell in ranked
    ]


def _newest_kernels(ways: Iterable[Any]) -> Any:
    """The native engine with its newest kernels, stock and without a variant; None without it."""
    native = [
        way
        for way in ways
        if way.engine_family.startswith(YARDSTICK)
        and way.tuning == _STOCK
        and not way.variant
        and way.owners
    ]
    return max(native, key=lambda way: (_kernels(way), way.owners), default=None)


def _kernels(way: Any) -> int:
    """The version of the kernels, which stands at the end of the family; 0 for none."""
    last = way.engine_family.rpartition(" ")[2]
    return int(last) if last.isascii() and last.isdigit() and len(last) < 9 else 0
