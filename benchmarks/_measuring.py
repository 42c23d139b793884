"""What the measuring scripts share: a run in a worker process of its own, watched."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace

from epochmark.analysis.timing.headline import steady_of, steps_per_epoch
from epochmark.bench.interpreters.interpreter import choose_interpreter, find_interpreter
from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest
from epochmark.bench.session import Bench
from epochmark.bench.tuned.search import TunedSearch, with_settings
from epochmark.datasets import get_mnist
from epochmark.engines import get_engine
from epochmark.hardware.counters import open_counters
from epochmark.hardware.machine import describe_machine, machine_id
from epochmark.judge.results import ResultFiles
from epochmark.records.record import Record
from epochmark.worker.protocol import Message
from epochmark.workloads import MNIST_CNN, Workload


def _ignore(report: Message) -> None:
    """What the worker reports is not needed."""


def run(
    request: RunRequest, python: str | None = None, on_report: Callable[[Message], None] = _ignore
) -> Record:
    """The record of one run; ends the script with the worker's last words when it failed. The
    interpreter is ``python``, else the one that has the engine."""
    request.check()
    return _carry_out(request, python, on_report)


def short_run(request: RunRequest, steps: int) -> Record:
    """The record of the first ``steps`` steps, with the laps of a quick run, also of engines that
    in a full run end whole epochs only. (``request.check`` allows users but one of the two.)"""
    request.check()
    return _carry_out(replace(request, max_steps=steps, quick=True), None, _ignore)


def is_ready(engine: str) -> bool:
    """Whether the engine can run here."""
    return find_interpreter(get_engine(engine).info) is not None


def bench() -> Bench:
    """This machine, watched for other programs; sensors are not asked."""
    folder = get_mnist(None, lambda what, done, total: None)
    return Bench(folder, describe_machine(None), open_counters=open_counters)


def tuned_request(engine: str, workload: Workload = MNIST_CNN) -> RunRequest:
    """The engine with its fastest settings: those remembered on this machine, else searched now."""
    request = RunRequest(engine, tuning="tuned", workload=workload)
    request.check()
    folder = ResultFiles.of_user().folder
    search = TunedSearch(replace(bench(), machine=describe_machine(machine_id(folder))), folder)
    planned = PlannedRun(request, choose_interpreter(get_engine(engine).info, None))

    def tell(doing: str) -> None:
        print(f"tuning {engine}: {doing}", file=sys.stderr, flush=True)

    return with_settings(planned, search.tuned(planned, tell)).request


def step_s(record: Record) -> float:
    """Median seconds of a warm step: a lap's time over its steps."""
    steady = steady_of(record)
    if steady is None:
        sys.exit(f"{record.engine.name}: too few laps for a result; more steps are needed")
    return steady.interval.median / steps_per_epoch(record.workload)


def _carry_out(
    request: RunRequest, python: str | None, on_report: Callable[[Message], None]
) -> Record:
    interpreter = choose_interpreter(get_engine(request.engine).info, python)
    measured = bench().measure(PlannedRun(request, interpreter), on_report)
    if measured.record.outcome != "completed":
        sys.exit(f"{request.engine} failed:\n{measured.stderr.decode(errors='replace')[-2000:]}")
    return measured.record
