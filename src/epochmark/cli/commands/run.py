"""``epochmark run``: the main job."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._answers import print_sweep, print_table
from epochmark.cli._completion import complete_engine, complete_workload
from epochmark.cli._console import print_json, remark
from epochmark.cli._guard import EXIT_FAILED, EXIT_INTERRUPTED, described
from epochmark.cli._tuning import check_tuning
from epochmark.cli.commands.this_machine._running import RunsDone, RunsSetup, measure
from epochmark.errors import EpochmarkError

if TYPE_CHECKING:
    from epochmark.bench.plan import Plan
    from epochmark.bench.request import RunRequest
    from epochmark.bench.session import Bench
    from epochmark.judge.results import ResultFiles


@described(
    """Train on this machine; say how fast, and whether to trust it.

    A full run of mnist-cnn, the default, is 10 epochs over MNIST at batch 128, as in the original
    script; -w trains another workload. Exit code 0: the run is sound; 1: it failed or is invalid;
    2: the command was wrong.
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
    workload: Annotated[
        str,
        typer.Option(
            "--workload",
            "-w",
            metavar="NAME|all",
            help="What to train, see 'epochmark workloads'; all: each workload that the engine "
            "offers, but for large ones, which must be named (gpt-124m).",
            autocompletion=complete_workload,
        ),
    ] = "mnist-cnn",
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
            help="Arithmetic to request; stock: the engine's default.",
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
        bool, typer.Option("--retune", help="Search for those settings again.")
    ] = False,
    python: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Train in this interpreter (3.9 or newer, with numpy and the framework).",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", help="Train N epochs instead of the workload's.")
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option(metavar="N", help="Stop after N steps: a partial run, never ranked."),
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
            help="Train until the machine is thermally steady; report what it can sustain.",
        ),
    ] = False,
    repeat: Annotated[
        int | None,
        typer.Option(metavar="N", help="Run each N times; several engines take turns."),
    ] = None,
    batch: Annotated[
        int | None,
        typer.Option(metavar="N", help="Use another batch size: a variant, ranked separately."),
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
            help="The sizes of such a sweep. Default: 32,64,128,256,512,1024, as far as the "
            "workload allows; else around its own batch.",
            show_default=False,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(metavar="N", help="CPU threads. Default: the engine's choice."),
    ] = None,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of initial weights and shuffling.")
    ] = 1,
    label: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Your remark, kept in the record.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Take MNIST from this file or folder.")
    ] = None,
    patience: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Silence after which a worker counts as hung. Default: derived from its progress.",
        ),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Do not wait for other busy programs to end.")
    ] = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print the record as one JSON document; where several may come, a list."
        ),
    ] = False,
    no_save: Annotated[bool, typer.Option("--no-save", help="Keep no record.")] = False,
) -> None:
    from epochmark.bench.plan import ALL, beside_stock, over_workloads
    from epochmark.bench.process.lock import measuring_alone
    from epochmark.bench.repeats import balanced, check_repeats
    from epochmark.bench.request import RunRequest, named_workloads
    from epochmark.bench.tuned.search import TunedSearch
    from epochmark.cli._calm import tell_waiting
    from epochmark.cli._progress import transfer_progress
    from epochmark.datasets import get_data
    from epochmark.hardware.machine import machine_id
    from epochmark.judge.results import ResultFiles

    check_tuning(tuning, retune)
    check_repeats("--repeat", repeat)
    _check_patience(patience)
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
    plan = over_workloads(
        named_workloads(workload),
        asked,
        lambda device: _plan(engines, all_engines, device, python, workload == ALL),
    )
    if tuning == "both":
        plan = beside_stock(plan)
    if sweeping:
        plan = _swept(plan, batches)
    plan = replace(plan, runs=balanced(plan.runs, repeat or 1))
    files = ResultFiles.of_user()
    if not no_save:
        files.check_writable()
    with transfer_progress() as progress:
        folder = get_data((planned.request.workload for planned in plan.runs), data, progress)
    own_id = None if no_save else machine_id(files.folder)
    alone = len(plan.runs) == 1
    with measuring_alone(tell_waiting):
        bench = replace(_bench(folder, files, own_id), patience_s=patience)
        if any(planned.request.is_real for planned in plan.runs):
            bench = bench.watching()
        search = TunedSearch(bench, files.folder, saves=not no_save, retune=retune)
        kept_in = None if no_save else files
        setup = RunsSetup(search, kept_in, quiet=json, anyway=anyway, alone=alone)
        done = measure(plan, setup)
    everything = all_engines or ALL in (device, workload)
    several = everything or repeat is not None or len(engines or ()) > 1
    if sweeping:
        print_sweep(done.records, json)
    elif json:
        _print_json(done, with_tuned=tuning == "both", as_list=several)
    elif not alone:
        print_table(done.records, setup.files)
    for omitted in done.left_out:
        remark(f"{omitted.engine} on {omitted.device} left out: {omitted.reason}")
    if done.interrupted:
        raise typer.Exit(EXIT_INTERRUPTED)
    failed = len(done.records) < len(plan.runs) and not (plan.everything and done.records)
    if failed or any(record.headline.validity == "invalid" for record in done.records):
        raise typer.Exit(EXIT_FAILED)


def _bench(data: Path, files: ResultFiles, own_id: str | None) -> Bench:
    """On this machine as it is now; to be called while ``measuring_alone``, since a GPU's driver is
    asked by a process."""
    from epochmark.api.reading import known_limits
    from epochmark.bench.session import Bench
    from epochmark.hardware.gpus.described import gpus_here
    from epochmark.hardware.machine import describe_machine

    machine = describe_machine(own_id, gpus=gpus_here())
    return Bench(data, machine, known_limits(files.folder, machine))


def _print_json(done: RunsDone, with_tuned: bool, as_list: bool) -> None:
    """The records as one document; of a single run that left none there is nothing to print."""
    if with_tuned:
        print_json({"records": done.records, "tuned": done.tuned})
    elif as_list:
        print_json(done.records)
    elif done.records:
        print_json(done.records[0])


def _check_patience(patience_s: float | None) -> None:
    if patience_s is not None and not patience_s >= 1:  # nor NaN
        raise EpochmarkError(
            f"--patience {patience_s:g} is out of range: 1 second or more", exit_code=2
        )


def _plan(
    engines: list[str] | None,
    all_engines: bool,
    asked: RunRequest,
    python: str | None,
    only_offering: bool,
) -> Plan:
    from epochmark.bench.plan import plan_all, plan_named
    from epochmark.cli._probing import activity

    if not all_engines:
        return plan_named(engines or [asked.engine], asked, python, only_offering)
    if engines or python is not None:
        raise EpochmarkError(
            "--all runs every engine that is ready; omit "
            f"{'their names' if engines else '--python'}",
            exit_code=2,
        )
    with activity("asking the engines", terminal_only=True) as tell:
        return plan_all(asked, tell)


def _swept(plan: Plan, batches: str | None) -> Plan:
    from epochmark.bench.batch_sweep import parse_batch_sizes, swept

    return swept(plan, None if batches is None else parse_batch_sizes(batches))
