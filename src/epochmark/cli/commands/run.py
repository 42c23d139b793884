"""``epochmark run``: the main job."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._answers import print_answer, print_table
from epochmark.cli._completion import complete_engine
from epochmark.cli._console import print_json, remark
from epochmark.cli._guard import EXIT_FAILED, EXIT_INTERRUPTED, complain, described
from epochmark.cli._sweep import print_sweep
from epochmark.cli._tuning import check_tuning, find_settings
from epochmark.errors import EpochmarkError

if TYPE_CHECKING:
    from epochmark.bench.plan import LeftOut, Plan, PlannedRun
    from epochmark.bench.request import RunRequest
    from epochmark.bench.session import Measured
    from epochmark.bench.tuned.search import TunedSearch
    from epochmark.judge.results import ResultFiles
    from epochmark.records.machine.tuned_settings import Tuned

MAX_REPEATS = 100


@described(
    """Train mnist-cnn on this machine and say how fast it was and whether to believe it.

    A full run is 10 epochs over MNIST at batch 128, as in the original script. Exit code 0: the
    run is sound; 1: it failed or is invalid; 2: the command was wrong.
    """
)
def run(
    engines: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ENGINE",
            help="Engines to run, one after the other. Default: native.",
            autocompletion=complete_engine,
        ),
    ] = None,
    all_engines: Annotated[
        bool, typer.Option("--all", help="Run every engine that is ready on this machine.")
    ] = False,
    device: Annotated[
        str,
        typer.Option(
            metavar="cpu|gpu|gpu:N|tpu|all",
            help="Where to train; all: on each device that the engine sees.",
        ),
    ] = "cpu",
    precision: Annotated[
        str,
        typer.Option(
            metavar="stock|float32|tf32|bfloat16|float16",
            help="Arithmetic to ask the engine for; stock: what it does by itself.",
        ),
    ] = "stock",
    tuning: Annotated[
        str,
        typer.Option(
            metavar="stock|tuned|both",
            help="As users of the engine write it, or float32 with its fastest settings, searched "
            "once on this machine.",
        ),
    ] = "stock",
    retune: Annotated[
        bool, typer.Option("--retune", help="Search for those settings anew.")
    ] = False,
    python: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Train in this interpreter (3.9 or newer, with numpy and the framework).",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="Train so many epochs instead of the workload's.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Stop after so many steps: a partial run, never ranked.")
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Stop as soon as the steady epoch is known; project the whole run."
        ),
    ] = False,
    settle: Annotated[
        bool,
        typer.Option(
            "--settle",
            help="Train until the machine is thermally steady; tell what it can keep up.",
        ),
    ] = False,
    repeat: Annotated[
        int,
        typer.Option(
            help="Run each so many times, several engines turn about.", min=1, max=MAX_REPEATS
        ),
    ] = 1,
    batch: Annotated[
        int | None, typer.Option(help="Another batch size: a variant, ranked apart.")
    ] = None,
    sweep_batch: Annotated[
        bool,
        typer.Option(
            "--sweep-batch", help="Quick runs at several batch sizes, and one table of them."
        ),
    ] = False,
    batches: Annotated[
        str | None,
        typer.Option(
            metavar="N,N,...",
            help="The sizes of such a sweep. Default: 32,64,128,256,512,1024.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None, typer.Option(help="CPU threads. Default: what the engine does by itself.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of initial weights and shuffling.")] = 1,
    label: Annotated[
        str | None, typer.Option(help="A remark of yours, kept in the record.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Take MNIST from this file or folder.")] = None,
    patience: Annotated[
        float | None,
        typer.Option(
            help="Seconds without progress after which a worker counts as hung. "
            "Default: derived from its progress.",
            min=1.0,
        ),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Do not wait for other busy programs to end.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the record as one JSON document.")
    ] = False,
    no_save: Annotated[bool, typer.Option("--no-save", help="Keep no record.")] = False,
) -> None:
    from epochmark.bench.plan import beside_stock
    from epochmark.bench.repeats import balanced
    from epochmark.bench.request import RunRequest
    from epochmark.bench.session import Bench
    from epochmark.bench.tuned.search import TunedSearch
    from epochmark.cli._progress import transfer_progress
    from epochmark.cli._records import known_limits
    from epochmark.datasets import get_mnist
    from epochmark.hardware.machine import describe_machine, machine_id
    from epochmark.judge.results import ResultFiles

    check_tuning(tuning, retune)
    asked = RunRequest(
        engine="native",
        device=device,
        precision=precision,
        tuning="stock" if tuning == "stock" else "tuned",
        epochs=epochs,
        max_steps=steps,
        quick=quick,
        settle=settle,
        batch_size=batch,
        threads=threads,
        seed=seed,
        label=label,
    )
    sweeping = sweep_batch or batches is not None
    plan = _plan(engines, all_engines, asked, python)
    if tuning == "both":
        plan = beside_stock(plan)
    if sweeping:
        plan = _swept(plan, batches)
    plan = replace(plan, runs=balanced(plan.runs, repeat))
    files = ResultFiles.of_user()
    if not no_save:
        files.check_writable()
    with transfer_progress() as progress:
        folder = get_mnist(data, progress)
    machine = describe_machine(None if no_save else machine_id(files.folder))
    bench = Bench(folder, machine, known_limits(machine), patience_s=patience)
    if any(one.request.is_real for one in plan.runs):
        bench = bench.watching()
    search = TunedSearch(bench, files.folder, saves=not no_save, retune=retune)
    job = _Job(search, None if no_save else files, quiet=json, anyway=anyway)
    measured, left_out, tuned = _measure(plan, job)
    records = [one.record for one in measured]
    if sweeping:
        print_sweep(records, json)
    elif json and tuning == "both":
        print_json({"records": records, "tuned": tuned})
    elif json:
        print_json(records[0] if len(plan.runs) == 1 else records)
    elif len(plan.runs) > 1:
        print_table(records, job.files)
    for one in left_out:
        remark(f"{one.engine} on {one.device} left out: {one.reason}")
    if any(one.interrupted for one in measured):
        raise typer.Exit(EXIT_INTERRUPTED)
    failed = len(measured) < len(plan.runs) and not (plan.everything and measured)
    if failed or any(one.record.headline.validity == "invalid" for one in measured):
        raise typer.Exit(EXIT_FAILED)


@dataclass(frozen=True)
class _Job:
    """What all runs of a command have in common; no ``files``: nothing is saved."""

    search: TunedSearch
    files: ResultFiles | None
    quiet: bool
    anyway: bool


def _plan(
    engines: list[str] | None, all_engines: bool, asked: RunRequest, python: str | None
) -> Plan:
    from epochmark.bench.plan import plan_all, plan_named
    from epochmark.cli._probing import activity

    if not all_engines:
        return plan_named(engines or [asked.engine], asked, python)
    if engines or python is not None:
        raise EpochmarkError(
            "--all takes the engines that are ready by themselves; leave "
            f"{'their names' if engines else '--python'} out",
            exit_code=2,
        )
    with activity("asking the engines", terminal_only=True) as tell:
        return plan_all(asked, tell)


def _swept(plan: Plan, batches: str | None) -> Plan:
    from epochmark.bench.batch_sweep import DEFAULT_BATCH_SIZES, parse_batch_sizes, swept

    return swept(plan, DEFAULT_BATCH_SIZES if batches is None else parse_batch_sizes(batches))


def _measure(plan: Plan, job: _Job) -> tuple[list[Measured], list[LeftOut], list[Tuned]]:
    """Carry out the runs, one at a time; one that cannot be run does not stop the others. Before
    the first, the settings of tuned ones are found."""
    from epochmark.bench.plan import LeftOut
    from epochmark.bench.process.interrupts import interrupts_later
    from epochmark.bench.process.lock import measuring_alone
    from epochmark.cli._calm import await_calm, tell_waiting

    measured: list[Measured] = []
    with measuring_alone(tell_waiting):
        needed = [one.request.run_cpus for one in plan.runs if one.request.is_real]
        if needed and not job.anyway:
            await_calm(max(needed))
        runs, unsearched, tuned = find_settings(plan, job.search, not job.quiet)
        left_out = [*plan.left_out, *unsearched]
        for number, planned in enumerate(runs, start=1):
            with interrupts_later():
                try:
                    one = _run_one(planned, job, (number, len(runs)))
                except EpochmarkError as error:
                    if len(plan.runs) == 1:
                        raise
                    request = planned.request
                    left_out.append(LeftOut(request.engine, request.device, str(error)))
                    continue
                measured.append(one)
                saved = None if job.files is None else _save(one, job.files)
                if not job.quiet:
                    print_answer(one, saved, job.files, short=len(plan.runs) > 1)
            if one.interrupted:
                break
    return measured, left_out, tuned


def _run_one(planned: PlannedRun, job: _Job, position: tuple[int, int]) -> Measured:
    from epochmark.cli._calm import tell_busy
    from epochmark.cli._progress import RunProgress

    request = planned.request
    if position[0] > 1 and request.is_real and not job.anyway:
        tell_busy(request.run_cpus)
    with RunProgress(request, position) as progress:
        return job.search.bench.measure(planned, progress.on_report)


def _save(measured: Measured, files: ResultFiles) -> Path:
    """Save the record; where its folder fails now, in the folder for temporary files.

    Raises ``EpochmarkError`` with the record itself when that fails as well: it is never lost.
    """
    from epochmark.bench.process.temporary import temporary_root
    from epochmark.judge.results import ResultFiles
    from epochmark.records.upgrades import encode_record

    try:
        return files.save(measured.record, measured.stderr)
    except EpochmarkError as error:
        complain(error)
    try:
        return ResultFiles(temporary_root()).save(measured.record, measured.stderr)
    except EpochmarkError as error:
        document = encode_record(measured.record).decode()
        raise EpochmarkError(f"{error}\nThis is the record:\n{document}") from error
