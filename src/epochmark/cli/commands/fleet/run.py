"""``epochmark fleet run``: measure every node of a cluster, then report."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from epochmark.cli._completion import complete_engine
from epochmark.cli._console import remark
from epochmark.cli._guard import EXIT_FAILED, complain, described
from epochmark.cli._program import JsonOption, TrainedOption
from epochmark.cli.commands.fleet.report import PageOption, check_output, show
from epochmark.errors import EpochmarkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from epochmark.fleet.launchers.ray_cluster import RayNode

DEFAULT_ENGINE = "native"
RUNS_A_ROUND = 3
SLOT_S = 600.0
KEPT = "Records that had come are in the folder; 'epochmark fleet report' reads them."
LINE_S = 5.0
"""Between two lines of progress at least."""


@described(
    """Measure every node of a Ray cluster, then report.

    Each engine runs in two rounds of three runs on each node, as soon as the node is free; all of
    it is taken. Records are written as they come. Exit code 0: no node is slow; 1: a node is slow,
    or could not be measured; 2: there is no such cluster.
    """
)
def run(
    ray: Annotated[
        str,
        typer.Option(
            "--ray",
            metavar="ADDRESS|local",
            help="HOST:PORT of the cluster's head; local: a cluster of this machine alone.",
        ),
    ],
    engines: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ENGINE",
            help="Engines to run on each node. Default: native.",
            autocompletion=complete_engine,
        ),
    ] = None,
    workload: TrainedOption = "mnist-cnn",
    device: Annotated[
        str, typer.Option(metavar="cpu|gpu|gpu:N|tpu", help="Where to train on each node.")
    ] = "cpu",
    quick: Annotated[
        bool, typer.Option("--quick", help="Runs end as soon as the steady epoch is known.")
    ] = False,
    slot_seconds: Annotated[
        float,
        typer.Option(metavar="N", min=1.0, help="How long a busy node may take to get free."),
    ] = SLOT_S,
    at_once: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Measure N nodes at a time. Default: all."),
    ] = None,
    ship: Annotated[
        bool,
        typer.Option(
            "--ship", help="Send this epochmark to nodes that have none, or another version."
        ),
    ] = False,
    into: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Where records land, a file for each node. Default: fleet-DATE here.",
            show_default=False,
        ),
    ] = None,
    output: PageOption = None,
    json: JsonOption = False,
) -> None:
    from epochmark.bench.request import RunRequest, find_workload
    from epochmark.fleet.files import read_fleet
    from epochmark.fleet.launchers.landing import Landing
    from epochmark.fleet.launchers.ray_cluster import Head, HeadLostError, connected, nodes_in
    from epochmark.fleet.launchers.ray_tour import Orders, Tour
    from epochmark.fleet.report import fleet_report
    from epochmark.records.dates import now

    check_output(output)
    trained = find_workload(workload)
    names = engines or [DEFAULT_ENGINE]
    for name in names:
        RunRequest(name, workload=trained, device=device, quick=quick).check()
    options = ("-w", workload, "--device", device, *(["--quick"] if quick else []))
    runs = tuple((name, *options) for name in names)
    try:
        with connected(ray, KEPT, ship) as cluster:
            nodes = nodes_in(cluster)
            landing = Landing(into or Path(f"fleet-{now().replace(':', '')}"))
            orders = Orders(RUNS_A_ROUND * runs, slot_seconds, at_once or len(nodes))
            Tour(cluster, Head(ray, KEPT), nodes, orders, landing.take, _Teller(nodes).tell).go()
    except HeadLostError as error:
        complain(error)
        sys.stderr.flush()
        os._exit(EXIT_FAILED)
    for node in nodes:
        for text in filter(None, (node.trouble, node.remark)):
            remark(f"{node.name}: {text}")
    if not any(landing.folder.glob("*.json")):
        raise EpochmarkError("no node could be measured; the lines above say why")
    remark(f"records: {landing.folder}")
    show(fleet_report(read_fleet([landing.folder]), {}), output, json)
    if any(node.trouble for node in nodes):
        raise typer.Exit(EXIT_FAILED)


class _Teller:
    """Tells on standard error how far the nodes are: a line every few seconds, and the last one."""

    def __init__(self, nodes: Sequence[RayNode]) -> None:
        self._nodes = nodes
        self._told_at = 0.0

    def tell(self) -> None:
        """Called whenever a node's state changes."""
        from epochmark.fleet.launchers.ray_cluster import State

        counts = Counter(node.state for node in self._nodes)
        over = counts["done"] + counts["failed"] == len(self._nodes)
        if not over and time.monotonic() - self._told_at < LINE_S:
            return
        self._told_at = time.monotonic()
        shown = [f"{counts[state]} {state}" for state in get_args(State)]
        remark(f"nodes: {', '.join(shown)}")
