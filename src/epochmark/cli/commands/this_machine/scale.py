"""``epochmark scale``: what do two, four, eight devices give?"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, NamedTuple, TextIO

import typer

from epochmark.cli._completion import complete_engine
from epochmark.cli._guard import EXIT_FAILED, EXIT_INTERRUPTED, described
from epochmark.cli._program import JsonOption, TrainedOption
from epochmark.cli.commands.compare import EXIT_UNDECIDED
from epochmark.cli.commands.this_machine._nodes import ready_nodes
from epochmark.cli.commands.this_machine._turns import (
    MaxSecondsOption,
    NoSaveOption,
    PrecisionOption,
    check_seconds,
    ready_to_measure,
    shown_activity,
    tell_document,
)
from epochmark.errors import EpochmarkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from epochmark.bench.request import RunRequest
    from epochmark.bench.scaling.request import ScaleRequest
    from epochmark.bench.session import Bench
    from epochmark.judge.documents.scalings import ScalingFiles
    from epochmark.records.documents.scaling import Mode, Scaling

TARGET = 0.01
"""Half width of an interval at which the turns end."""


@described(
    """Train on several devices at once: how much faster than one, and is it the same training?

    Data-parallel training, each number of devices in turns with a single one. The replay, split
    over the devices, must give the losses of one device. On a CPU, devices are processes with cores
    of their own; with --ray, nodes of a cluster. Exit code 0: done; 1: a number of devices failed
    or its work is wrong; 2: the command was wrong; 3: too few turns to give an efficiency.
    """
)
def scale(
    engine: Annotated[
        str,
        typer.Argument(
            metavar="ENGINE",
            help="Who trains: torch or jax.",
            autocompletion=complete_engine,
        ),
    ],
    workload: TrainedOption = "mnist-cnn",
    devices: Annotated[
        str,
        typer.Option(metavar="N,N,...", help="How many devices; one is always among them."),
    ] = "1,2",
    weak: Annotated[
        bool,
        typer.Option("--weak", help="Give every device the whole batch of one. The default."),
    ] = False,
    strong: Annotated[
        bool, typer.Option("--strong", help="Split the batch of one over the devices.")
    ] = False,
    device: Annotated[
        str, typer.Option(metavar="cpu|gpu|tpu", help="The kind of the devices.")
    ] = "cpu",
    precision: PrecisionOption = "stock",
    batch: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Batch of a single device. Default: the workload's.",
            show_default=False,
        ),
    ] = None,
    max_seconds: MaxSecondsOption = 300.0,
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="ADDRESS",
            help="Train over nodes of a Ray cluster, each with one device: HOST:PORT of its head.",
            show_default=False,
        ),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="Train in this interpreter, as 'run --python'.", show_default=False
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Your remark, kept with the scaling.")
    ] = None,
    json: JsonOption = False,
    no_save: NoSaveOption = False,
) -> None:
    from epochmark.bench.request import RunRequest, find_workload, public_engines
    from epochmark.bench.scaling.request import parse_counts
    from epochmark.engines import engine_names
    from epochmark.errors import unknown
    from epochmark.judge.documents.scalings import ScalingFiles

    asked = _Asked(parse_counts(devices), _mode(weak, strong), max_seconds, python, ray)
    check_seconds(max_seconds)
    if engine not in engine_names():
        raise unknown("engine", engine, public_engines())
    run = RunRequest(
        engine=engine,
        device=device,
        precision=precision,
        batch_size=batch,
        label=label,
        workload=find_workload(workload),
    )
    run.check()
    files = None if no_save else ScalingFiles.of_user()
    out = sys.stdout  # nothing goes there while there are nodes, but our answer
    with _ready(run, asked, files) as (bench, request):
        made = _scale(bench, request, lambda scaling: _answer(scaling, files, json, out))
    raise typer.Exit(_exit_code(made))


class _Asked(NamedTuple):
    counts: list[int]
    mode: Mode
    max_seconds: float
    python: str | None
    ray: str | None


@contextlib.contextmanager
def _ready(
    run: RunRequest, asked: _Asked, files: ScalingFiles | None
) -> Iterator[tuple[Bench, ScaleRequest]]:
    """Everything that is needed, here or on the nodes of a cluster."""
    from epochmark.bench.interpreters.interpreter import choose_interpreter
    from epochmark.bench.plan import PlannedRun, planned_in
    from epochmark.bench.scaling.request import nodes_request, scale_request
    from epochmark.engines import get_engine

    limits = (asked.counts, asked.mode, TARGET, asked.max_seconds)
    if asked.ray is not None:
        over_nodes = nodes_request(PlannedRun(run), *limits)
        _check_writable(files)
        with ready_nodes(over_nodes, asked.ray, asked.python, files is not None) as ready:
            yield ready
        return
    interpreter = choose_interpreter(get_engine(run.engine).info, asked.python)
    planned = planned_in(interpreter, run, proves=False)
    request = scale_request(planned, *limits)
    _check_writable(files)
    with ready_to_measure(run.workload, files is not None) as (bench, _):
        yield bench, request


def _check_writable(files: ScalingFiles | None) -> None:
    if files is not None:
        files.check_writable()


def _mode(weak: bool, strong: bool) -> Mode:
    if weak and strong:
        raise EpochmarkError("--weak and --strong exclude each other", exit_code=2)
    return "strong" if strong else "weak"


def _scale(bench: Bench, request: ScaleRequest, answer: Callable[[Scaling], None]) -> Scaling:
    from epochmark.bench.process.interrupts import interrupts_later
    from epochmark.bench.scaling.scale import scale as carry_out

    with interrupts_later():
        with shown_activity("scale") as tell:
            scaling = carry_out(request, bench, tell)
        answer(scaling)
    return scaling


def _answer(scaling: Scaling, files: ScalingFiles | None, json: bool, out: TextIO) -> None:
    from epochmark.report.text.scaling import scaling_lines

    with contextlib.redirect_stdout(out):
        tell_document(scaling, scaling_lines(scaling), files, json)


def _exit_code(scaling: Scaling) -> int:
    if scaling.ending == "interrupted":
        return EXIT_INTERRUPTED
    places = [found.place for found in scaling.efficiencies]
    if "out" in places:
        return EXIT_FAILED
    return EXIT_UNDECIDED if "unknown" in places[1:] else 0
