"""``epochmark limits``: what this machine can do at most."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._completion import complete_engine
from epochmark.cli._console import print_json, remark
from epochmark.cli._guard import EXIT_FAILED, complain, described

if TYPE_CHECKING:
    from pathlib import Path

    from epochmark.bench.plan import Plan
    from epochmark.records.machine.machine_limits import Limits
    from epochmark.records.record import Machine

STILL_BUSY = "What is measured now may be too low; close other programs and measure again."


@described(
    """Measure the limits of this machine and of each engine.

    Arithmetic peaks, matrix product and memory bandwidth of the processor; each engine's own matrix
    product, convolution, dispatch and input. Kept beside the results, where runs and 'explain'
    use it.
    """
)
def limits(
    engines: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ENGINE",
            help="Measure only these engines; 'native' includes the processor. Default: the "
            "processor and every engine that is ready.",
            show_default=False,
            autocompletion=complete_engine,
        ),
    ] = None,
    device: Annotated[
        str,
        typer.Option(
            metavar="cpu|gpu|gpu:N|tpu|all",
            help="Device to measure engines on; all: each device that the engine sees.",
        ),
    ] = "all",
    python: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Measure the engines named in this interpreter (3.9 or newer, with numpy and the "
            "framework).",
        ),
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Measure nothing; show what was measured before.")
    ] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Do not wait for other busy programs to end.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    from epochmark.errors import EpochmarkError
    from epochmark.hardware.machine import describe_machine, machine_id
    from epochmark.judge.results import ResultFiles

    files = ResultFiles.of_user()
    if show:
        if engines or python is not None or device != "all":
            raise EpochmarkError(
                "--show shows everything that was measured; omit engines, --device and --python",
                exit_code=2,
            )
        _show(_stored(files.folder), describe_machine(machine_id(files.folder)), json)
        return
    plan = _plan(engines or [], device, python)
    files.check_writable()
    machine = describe_machine(machine_id(files.folder))
    measured, failed = _measure(plan, engines or [], files.folder, machine, anyway)
    _print(measured, json)
    for omitted in plan.left_out:
        remark(f"{omitted.engine} left out: {omitted.reason}")
    if failed:
        raise typer.Exit(EXIT_FAILED)


def _plan(engines: list[str], device: str, python: str | None) -> Plan:
    from epochmark.bench.plan import plan_all, plan_named
    from epochmark.bench.request import RunRequest
    from epochmark.cli._probing import activity
    from epochmark.errors import EpochmarkError

    asked = RunRequest(engine="native", device=device)
    if python is not None and not engines:
        raise EpochmarkError(
            "--python needs an engine: epochmark limits ENGINE --python PATH",
            exit_code=2,
        )
    with activity("asking the engines", terminal_only=True) as tell:
        if engines:
            return plan_named(list(dict.fromkeys(engines)), asked, python)
        return plan_all(asked, tell)


def _measure(
    plan: Plan, engines: list[str], folder: Path, machine: Machine, anyway: bool
) -> tuple[Limits, bool]:
    """The limits after all was measured and saved part by part, and whether something asked for
    could not be measured. What failed leaves older figures as they are."""
    import msgspec

    from epochmark.bench.measure_limits import measure_engine, measure_processor
    from epochmark.bench.process.lock import measuring_alone
    from epochmark.cli._calm import await_calm, tell_waiting
    from epochmark.cli._probing import activity
    from epochmark.records.machine.limits_file import save_limits

    failed = False
    with measuring_alone(tell_waiting):
        kept = _kept(folder, machine)
        if not anyway:
            await_calm(still_busy=STILL_BUSY)
        if not engines or "native" in engines or kept.processor is None:
            with activity("the processor") as tell:
                processor = measure_processor(tell)
            if processor.has_figures or kept.processor is None:
                kept = msgspec.structs.replace(kept, processor=processor)
                save_limits(folder, kept)
            else:
                remark(f"the processor: {'; '.join(processor.problems)}")
            failed = not processor.multiply_adds
        for planned in plan.runs:
            engine, device = planned.request.engine, planned.request.device
            with activity(f"{engine} on {device}") as tell:
                found = measure_engine(engine, device, planned.interpreter, tell)
            if found.has_figures:
                kept = kept.with_engine(found)
                save_limits(folder, kept)
            else:
                remark(f"{engine} on {device}: {found.problem}")
            failed = failed or (found.problem is not None and engine in engines)
    return kept, failed


def _kept(folder: Path, machine: Machine) -> Limits:
    """What is stored of this machine, to be completed; nothing where that is unreadable or of
    another machine, whose limits are put aside."""
    from epochmark.errors import EpochmarkError
    from epochmark.records.machine.limits_file import (
        FORMAT,
        REPLACED_NAME,
        read_limits,
        save_limits,
    )
    from epochmark.records.machine.machine_limits import Limits

    try:
        stored = read_limits(folder)
    except EpochmarkError as error:
        complain(error)
        stored = None
    if stored is not None and stored.fits(machine):
        return stored
    if stored is not None:
        aside = save_limits(folder, stored, REPLACED_NAME)
        remark(
            "The stored limits are from another machine or another set of cores; new ones "
            f"replace them, and the old file is kept as {aside}"
        )
    return Limits(format=FORMAT, machine=machine)


def _stored(folder: Path) -> Limits:
    from epochmark.errors import EpochmarkError
    from epochmark.records.machine.limits_file import read_limits

    stored = read_limits(folder)
    if stored is None:
        raise EpochmarkError(
            f"no limits are stored in {folder} yet; measure them with 'epochmark limits'",
            exit_code=2,
        )
    return stored


def _show(stored: Limits, machine: Machine, json: bool) -> None:
    if not stored.fits(machine):
        remark(
            "These limits are from another machine or another set of cores, so runs here do not "
            "use them. Measure this one with 'epochmark limits'."
        )
    _print(stored, json)


def _print(shown: Limits, json: bool) -> None:
    from epochmark.cli._tables import print_sections
    from epochmark.report.tables.limits import limits_sections

    if json:
        print_json(shown)
        return
    print_sections(limits_sections(shown))
