"""``epochmark scale --ray``: over the nodes of a Ray cluster instead of on this machine."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from epochmark.cli._console import remark
from epochmark.cli._guard import EXIT_FAILED, complain

if TYPE_CHECKING:
    from epochmark.bench.scaling.nodes.muster import ReadyNode
    from epochmark.bench.scaling.request import ScaleRequest
    from epochmark.bench.session import Bench

KEPT = "Nothing of this scaling is kept."
ANSWERED = "The answer was given before, and is complete."


@contextlib.contextmanager
def ready_nodes(
    request: ScaleRequest, address: str, python: str | None, keeps: bool
) -> Iterator[tuple[Bench, ScaleRequest]]:
    """The bench, and the request with nodes of the cluster at this address, which are ours within
    the block. The process ends where the cluster is lost: Ray would crash an ordinary end.

    Raises ``EpochmarkError`` where there are no such nodes.
    """
    from epochmark.bench.interpreters.interpreter import Interpreter
    from epochmark.bench.scaling.nodes.muster import mustered
    from epochmark.bench.scaling.nodes.on_node import OnNode
    from epochmark.bench.session import Bench
    from epochmark.fleet.launchers.ray_cluster import Head, HeadLostError, connected
    from epochmark.fleet.launchers.ray_ranks import held_nodes

    run = request.planned.request
    count, head = max(request.counts), Head(address, KEPT)
    try:
        with (
            connected(address, KEPT) as cluster,
            held_nodes(cluster, head, count, run.device, OnNode) as held,
        ):
            ready = mustered(held, run, python, keeps)
            _tell(ready)
            there = Interpreter(ready[0].interpreter, Path(python or "python"), {})
            planned = replace(request.planned, interpreter=there)
            # the data are on the nodes
            yield Bench(Path(), ready[0].machine), replace(request, planned=planned, nodes=ready)
            head.kept = ANSWERED
    except HeadLostError as error:
        complain(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_FAILED)


def _tell(ready: Sequence[ReadyNode]) -> None:
    """Which rank is where: the document has no names."""
    remark(*(f"rank {rank}: {each.node.name}" for rank, each in enumerate(ready)))
    for each in ready:
        if each.remark:
            remark(f"{each.node.name}: {each.remark}")
