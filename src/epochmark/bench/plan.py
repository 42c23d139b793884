"""What a command asks for as single runs: which engine, on which device, in which interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from epochmark.bench.interpreter import Interpreter, choose_interpreter, find_interpreter
from epochmark.bench.probe import EngineStatus, probe
from epochmark.bench.request import RunRequest, public_engines
from epochmark.engines import engine_names, get_engine
from epochmark.errors import EpochmarkError

ALL = "all"
"""As a device: each one the engine sees."""


@dataclass(frozen=True)
class PlannedRun:
    """One run, and where its worker shall run."""

    request: RunRequest
    interpreter: Interpreter


@dataclass(frozen=True)
class LeftOut:
    """An engine that cannot do what was asked, and why."""

    engine: str
    device: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Runs in order, and what was left out of ``--all``."""

    runs: tuple[PlannedRun, ...]
    left_out: tuple[LeftOut, ...] = ()


def plan_named(engines: Sequence[str], asked: RunRequest, python: str | None) -> Plan:
    """Runs of the engines named, each as ``asked``; with the device ``all``, on each it sees.

    Raises ``EpochmarkError`` for the first that cannot be run, before anything is measured.
    """
    runs: list[PlannedRun] = []
    for name in engines:
        request = replace(asked, engine=name)
        if request.device != ALL:
            request.check()
            runs.append(PlannedRun(request, choose_interpreter(get_engine(name).info, python)))
            continue
        replace(request, device=_first_kind(name)).check()
        interpreter = choose_interpreter(get_engine(name).info, python)
        status = probe(get_engine(name).info, interpreter)
        if status.state != "ready":
            raise EpochmarkError(f"{name}: {status.problem}\n{status.remedy}")
        runs += [
            PlannedRun(replace(request, device=device), interpreter) for device in status.device_ids
        ]
    return Plan(tuple(runs))


def _first_kind(engine: str) -> str:
    """A device kind of the engine, if it exists at all: what else is asked can be checked then."""
    return get_engine(engine).info.device_kinds[0] if engine in engine_names() else "cpu"


def plan_all(asked: RunRequest, on_engine: Callable[[str], None]) -> Plan:
    """Runs of every engine that is ready on this machine; the others are left out, with a reason.

    ``on_engine`` is told which engine is asked now. Raises ``EpochmarkError`` when none remains.
    """
    runs: list[PlannedRun] = []
    left_out: list[LeftOut] = []
    for name in public_engines():
        on_engine(name)
        interpreter = find_interpreter(get_engine(name).info)
        if interpreter is None:
            continue  # not installed is nothing to report, run after run
        status = probe(get_engine(name).info, interpreter)
        try:
            runs += [
                PlannedRun(request, interpreter) for request in _requests_of(name, status, asked)
            ]
        except EpochmarkError as error:
            left_out.append(LeftOut(name, asked.device, str(error).partition("\n")[0]))
    if not runs:
        reasons = "".join(f"\n{one.engine}: {one.reason}" for one in left_out)
        raise EpochmarkError(f"no engine that is ready here can do this{reasons}", exit_code=2)
    return Plan(tuple(runs), tuple(left_out))


def _requests_of(name: str, status: EngineStatus, asked: RunRequest) -> list[RunRequest]:
    if status.state != "ready":
        raise EpochmarkError(str(status.problem))
    if asked.device == ALL:
        requests = [replace(asked, engine=name, device=device) for device in status.device_ids]
    else:
        seen = {*status.device_ids, *(device.split(":")[0] for device in status.device_ids)}
        if asked.device in seen:
            requests = [replace(asked, engine=name)]
        else:
            there = ", ".join(status.device_ids)
            raise EpochmarkError(f"it has no {asked.device} here; it has: {there}")
    for request in requests:
        request.check()
    return requests
