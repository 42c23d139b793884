"""The start page: one way to train on all machines, fastest first, beside the CPU yardstick."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.context import context_of
from epochmark.board.pages.rendering import page
from epochmark.board.storage.cells import all_cells
from epochmark.board.storage.published import published_results
from epochmark.workloads import DEFAULT_WORKLOAD

HEADLINE = "torch"
"""The engine that most people train with."""
YARDSTICK = "native"
"""The engine whose code is ours, on the processor."""
_STOCK = "stock"


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
    with context_of(request).database.reading() as connection:
        cells = all_cells(connection)
        published = len(published_results(connection))
    workload = _chosen(request, "workload", Counter(cell.workload for cell in cells))
    of_workload = [cell for cell in cells if cell.workload == workload]
    device = _chosen(request, "device", Counter(cell.device_kind for cell in of_workload))
    there = [cell for cell in of_workload if cell.device_kind == device]
    ways = Counter(dict.fromkeys(sorted(map(way_of, there)), 0))
    for cell in there:
        ways[way_of(cell)] += cell.owners
    way = _chosen(request, "way", ways)
    return page(
        request,
        "start.html",
        workloads=sorted({cell.workload for cell in cells}),
        devices=sorted({cell.device_kind for cell in cells}),
        chosen={"workload": workload, "device": device, "way": way},
        ways=ways.most_common(),
        lines=_lines(there, way),
        unranked=[cell for cell in there if way_of(cell) == way and cell.median_s is None],
        results=sum(cell.runs for cell in cells),
        published=published,
    )


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


def _lines(cells: Sequence[Any], way: str) -> list[Line]:
    """Hardware with valid runs, fastest first."""
    ranked = [cell for cell in cells if way_of(cell) == way and cell.median_s is not None]
    slowest = max((cell.high_s for cell in ranked), default=1.0)
    yardstick = {} if way.startswith(YARDSTICK) else _yardstick(cells)
    return [
        Line(cell, 100 * cell.median_s / slowest, yardstick.get(cell.hardware)) for cell in ranked
    ]


def _yardstick(cells: Sequence[Any]) -> dict[str, float]:
    """Seconds of the native engine's newest kernels, stock and without a variant, by hardware."""
    native = [
        cell
        for cell in cells
        if cell.engine_family.startswith(YARDSTICK)
        and cell.tuning == _STOCK
        and not cell.variant
        and cell.median_s is not None
    ]
    newest = max((_kernels(cell) for cell in native), default=0)
    return {cell.hardware: cell.median_s for cell in native if _kernels(cell) == newest}


def _kernels(cell: Any) -> int:
    """The version of the kernels, which stands at the end of the family; 0 for none."""
    last = cell.engine_family.rpartition(" ")[2]
    return int(last) if last.isascii() and last.isdigit() and len(last) < 9 else 0
