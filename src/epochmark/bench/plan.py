"""What a command asks for as single runs: which engine, on which device, in which interpreter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from epochmark.bench.interpreters.interpreter import (
    Interpreter,
    choose_interpreter,
    find_interpreter,
)
from epochmark.bench.interpreters.probe import probe
from epochmark.bench.request import RunRequest, public_engines
from epochmark.bench.watching.memory import check_size
from epochmark.engines import EngineInfo, engine_names, get_engine, offering
from epochmark.environments.requirements import Platform, rows_of_system
from epochmark.errors import EpochmarkError
from epochmark.workloads import Workload

ALL = "all"
"""As a device: each one the engine sees."""


@dataclass(frozen=True)
class PlannedRun:
    """One run, and the interpreter of its worker, by default our own."""

    request: RunRequest
    interpreter: Interpreter = field(default_factory=Interpreter.own)


@dataclass(frozen=True)
class LeftOut:
    """An engine that cannot do what was asked, and why."""

    engine: str
    device: str
    reason: str


@dataclass(frozen=True)
class Plan:
    """Runs in order. ``everything``: whatever is ready here was asked for, so an engine that lacks
    the device or the precision is no failure; those known beforehand are ``left_out``."""

    runs: tuple[PlannedRun, ...]
    left_out: tuple[LeftOut, ...] = ()
    everything: bool = False


def plan_named(
    engines: Sequence[str], asked: RunRequest, python: str | None, only_offering: bool = False
) -> Plan:
    """Runs of the engines named, each as ``asked``; with the device ``all``, on each it sees.
    ``only_offering`` leaves out those that do not offer the workload.

    Raises ``EpochmarkError`` for the first that cannot be run, before anything is measured.
    """
    runs: list[PlannedRun] = []
    offer = set(offering(asked.workload))
    some = [name for name in engines if name in offer or name not in public_engines()]
    for name in some if only_offering and some else engines:
        request = _checked(replace(asked, engine=name))
        interpreter = choose_interpreter(get_engine(name).info, python)
        runs += _on_devices(request, interpreter)
    return Plan(tuple(runs))


def over_workloads(
    workloads: Sequence[Workload], asked: RunRequest, plan: Callable[[RunRequest], Plan]
) -> Plan:
    """The same for several workloads, one after the other; those that cannot be run are left out.

    ``plan`` makes the plan of one. Raises ``EpochmarkError`` (exit code 2) when none remains.
    """
    runs: list[PlannedRun] = []
    left_out: list[LeftOut] = []
    refusal: EpochmarkError | None = None
    everything = False
    for workload in workloads:
        try:
            found = plan(replace(asked, workload=workload))
        except EpochmarkError as error:
            refusal = error
            left_out.append(LeftOut(workload.name, asked.device, str(error).partition("\n")[0]))
            continue
        runs += found.runs
        left_out += found.left_out
        everything = everything or found.everything
    if not runs and refusal is not None:
        raise refusal
    return Plan(tuple(runs), tuple(left_out), everything)


def planned_in(interpreter: Interpreter, request: RunRequest, proves: bool = True) -> PlannedRun:
    """The run in this interpreter; ``proves``: its training goes on in float64. Raises
    ``EpochmarkError`` where it cannot be run."""
    (planned,) = _on_devices(_checked(request, proves), interpreter)
    return planned


def plan_all(asked: RunRequest, on_engine: Callable[[str], None]) -> Plan:
    """Runs of every engine that is installed on this machine; those that do not offer what was
    asked are left out.

    ``on_engine`` is called with the engine that is looked at now. Raises ``EpochmarkError`` (exit
    code 2) when none remains.
    """
    runs: list[PlannedRun] = []
    left_out: list[LeftOut] = []
    for name in public_engines():
        on_engine(name)
        interpreter = find_interpreter(get_engine(name).info)
        if interpreter is None:
            continue  # not installed is nothing to report, run after run
        try:
            runs += _on_devices(_checked(replace(asked, engine=name)), interpreter)
        except EpochmarkError as error:
            left_out.append(LeftOut(name, asked.device, str(error).partition("\n")[0]))
    if not runs:
        reasons = "".join(f"\n{omitted.engine}: {omitted.reason}" for omitted in left_out)
        raise EpochmarkError(f"no engine that is ready here can do this{reasons}", exit_code=2)
    return Plan(tuple(runs), tuple(left_out), everything=True)


def beside_stock(plan: Plan) -> Plan:
    """Each tuned run of the plan with the stock run of the same before it."""
    runs = tuple(
        replace(planned, request=replace(planned.request, tuning=tuning))
        for planned in plan.runs
        for tuning in ("stock", "tuned")
    )
    return replace(plan, runs=runs)


def _checked(request: RunRequest, proves: bool = True) -> RunRequest:
    """The request, if its engine offers it and this machine is large enough; with the device
    ``all``, as far as is known."""
    if request.device == ALL and request.engine in engine_names():
        replace(request, device=get_engine(request.engine).info.device_kinds[0]).check()
    else:
        request.check()
    check_size(request, proves)
    return request


def _on_devices(request: RunRequest, interpreter: Interpreter) -> list[PlannedRun]:
    """The request; with the device ``all``, once for each device the engine sees there.

    Raises ``EpochmarkError`` for a device other than the CPU that the engine does not see, before
    anyone waits for anything.
    """
    if request.device == "cpu" or not (request.is_real or request.device == ALL):
        return [PlannedRun(request, interpreter)]
    info = get_engine(request.engine).info
    status = probe(info, interpreter)
    if status.state != "ready":
        raise EpochmarkError(f"{request.engine}: {status.problem}\n{status.remedy}")
    if request.device == ALL:
        return [
            PlannedRun(replace(request, device=device), interpreter) for device in status.device_ids
        ]
    if not any(
        request.device in (device_id, device_id.partition(":")[0])
        for device_id in status.device_ids
    ):
        raise EpochmarkError(
            f"{request.engine} finds no device {request.device!r} here; it finds: "
            f"{', '.join(status.device_ids)}{_other_builds(info, interpreter)}\n"
            "'epochmark doctor' shows why.",
            exit_code=2,
        )
    return [PlannedRun(request, interpreter)]


def _other_builds(info: EngineInfo, interpreter: Interpreter) -> str:
    """How to install a build for a GPU, where the environment holds the one for the CPU."""
    if interpreter.managed is None or interpreter.managed.manifest.accelerators != ("cpu",):
        return ""
    rows = rows_of_system(info, Platform.here())
    others = [name for row in rows for name in row.accelerators if name != "cpu"]
    if not others:
        return ""
    return (
        f".\nIts environment holds the build for the CPU. For a GPU or TPU, one of: "
        f"epochmark engines install {info.name} --accelerator {'|'.join(others)}"
    )
