"""``epochmark run``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._guard import EXIT_FAILED, EXIT_INTERRUPTED, complain, interrupts_later

if TYPE_CHECKING:
    from epochmark.bench.request import RunRequest
    from epochmark.bench.session import Measured
    from epochmark.results.record import Machine
    from epochmark.results.store import ResultFiles


def run(
    engines: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ENGINE]...", help="Engines to run, one after the other. Default: native."
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="cpu|gpu|gpu:N|tpu", help="Where to train.")
    ] = "cpu",
    epochs: Annotated[
        int | None, typer.Option(help="Train so many epochs instead of the workload's.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Stop after so many steps: a partial run, never ranked.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(help="Another batch size: a variant, ranked apart.")
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
    json: Annotated[
        bool, typer.Option("--json", help="Print the record as one JSON document.")
    ] = False,
    no_save: Annotated[bool, typer.Option("--no-save", help="Keep no record.")] = False,
) -> None:
    """Train mnist-cnn on this machine and say how fast it was and whether to believe it.

    A full run is 10 epochs over MNIST at batch 128, as in the original script. Exit code 0: the
    run is sound; 1: it failed or is invalid; 2: the command was wrong.
    """
    from epochmark.bench.lock import measuring_alone
    from epochmark.bench.request import RunRequest
    from epochmark.cli._console import print_json, remark
    from epochmark.cli._progress import transfer_progress
    from epochmark.datasets import get_mnist
    from epochmark.hardware.machine import describe_machine, machine_id
    from epochmark.results.store import ResultFiles

    requests = [
        RunRequest(
            engine=name,
            device=device,
            epochs=epochs,
            max_steps=steps,
            batch_size=batch,
            threads=threads,
            seed=seed,
            label=label,
        )
        for name in engines or ["native"]
    ]
    for request in requests:
        request.check()
    files = ResultFiles.of_user()
    if not no_save:
        files.check_writable()
    with transfer_progress() as progress:
        folder = get_mnist(data, progress)
    machine = describe_machine(None if no_save else machine_id(files.folder))
    measured: list[Measured] = []

    def tell_waiting(holder: str) -> None:
        remark(
            f"another epochmark run (process {holder}) is measuring; waiting for it to end, "
            "since two at once would measure each other (Ctrl-C gives up)"
        )

    try:
        with measuring_alone(tell_waiting):
            for request in requests:
                one = _run_one(request, folder, machine, patience)
                measured.append(one)
                saved = None if no_save else _save(one, files)
                if not json:
                    _print_answer(one, saved)
                if one.interrupted:
                    break
    finally:  # also when a later engine cannot be run at all
        if json and measured:
            records = [one.record for one in measured]
            print_json(records[0] if len(requests) == 1 else records)
    if any(one.interrupted for one in measured):
        raise typer.Exit(EXIT_INTERRUPTED)
    if any(one.record.headline.validity == "invalid" for one in measured):
        raise typer.Exit(EXIT_FAILED)


def _run_one(
    request: RunRequest, data_folder: Path, machine: Machine, patience_s: float | None
) -> Measured:
    from epochmark.bench.session import measure
    from epochmark.cli._progress import RunProgress

    per_epoch = request.workload.steps_per_epoch(request.run_batch_size)
    steps = min(per_epoch * request.run_epochs, request.max_steps or per_epoch * request.run_epochs)
    title = f"{request.engine} on {request.device}"
    with RunProgress(title, request.run_epochs, steps, request.run_batch_size) as progress:
        return measure(request, data_folder, machine, progress.on_report, patience_s)


def _save(measured: Measured, files: ResultFiles) -> Path:
    """Save the record; where its folder fails now, in the folder for temporary files.

    Raises ``EpochmarkError`` with the record itself when that fails as well: it is never lost.
    """
    import tempfile

    from epochmark.errors import EpochmarkError
    from epochmark.results.store import ResultFiles
    from epochmark.results.upgrades import encode_record

    with interrupts_later():
        try:
            return files.save(measured.record, measured.stderr)
        except EpochmarkError as error:
            complain(error)
        try:
            return ResultFiles(Path(tempfile.gettempdir())).save(measured.record, measured.stderr)
        except EpochmarkError as error:
            document = encode_record(measured.record).decode()
            raise EpochmarkError(f"{error}\nThis is the record:\n{document}") from error


def _print_answer(measured: Measured, saved: Path | None) -> None:
    from epochmark.cli._console import say
    from epochmark.cli._tables import print_sections
    from epochmark.report.answer import answer_lines
    from epochmark.report.sections import published_section
    from epochmark.results.references import load_references

    say(*answer_lines(measured.record))
    if measured.record.outcome == "completed":
        say("")
        print_sections([published_section(load_references())])
    if saved is not None:
        say("", f"record {measured.record.id[:8]} saved: {saved}")
