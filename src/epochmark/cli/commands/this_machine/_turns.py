"""What commands have in common that let several trainings take turns: race and scale."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._guard import complain
from epochmark.errors import EpochmarkError

if TYPE_CHECKING:
    from pathlib import Path

    from epochmark.bench.session import Bench
    from epochmark.judge.documents.files import DocumentFiles, KeptT
    from epochmark.workloads import Workload

LEAST_S, MOST_S = 1.0, 4 * 3600.0
"""Turns of half a second and their laps: a document holds those of four hours."""
NEWS_INTERVAL_S = 5.0

MaxSecondsOption = Annotated[
    float,
    typer.Option(
        metavar="SECONDS",
        help="End the turns after this long, whatever is known; 4 hours at most.",
    ),
]

PrecisionOption = Annotated[
    str,
    typer.Option(
        metavar="stock|float32|tf32|bfloat16|float16",
        help="Arithmetic to request; stock: each engine's default.",
    ),
]
NoSaveOption = Annotated[bool, typer.Option("--no-save", help="Keep nothing.")]


def check_seconds(max_seconds: float) -> None:
    """Raise ``EpochmarkError`` (exit code 2) for a time that no document holds."""
    if not LEAST_S <= max_seconds <= MOST_S:  # nor NaN
        raise EpochmarkError(
            f"--max-seconds {max_seconds:g} is out of range: {LEAST_S:g} to {MOST_S:g}", exit_code=2
        )


@contextlib.contextmanager
def ready_to_measure(workload: Workload, keeps: bool) -> Iterator[tuple[Bench, Path]]:
    """The bench, with the data at hand, and the folder of results, while nothing else measures; the
    machine's id is made where something is to be kept."""
    from epochmark.api.reading import known_limits
    from epochmark.bench.process.lock import measuring_alone
    from epochmark.bench.session import Bench
    from epochmark.cli._calm import tell_waiting
    from epochmark.cli._progress import transfer_progress
    from epochmark.datasets import get_data
    from epochmark.hardware.gpus.described import gpus_here
    from epochmark.hardware.machine import describe_machine, machine_id
    from epochmark.judge.results import ResultFiles

    folder = ResultFiles.of_user().folder
    with transfer_progress() as progress:
        data = get_data([workload], None, progress)
    own_id = machine_id(folder) if keeps else None
    with measuring_alone(tell_waiting):
        # not beside the run that may hold the lock: a GPU's driver is asked by a process
        machine = describe_machine(own_id, gpus=gpus_here())
        yield Bench(data, machine, known_limits(folder, machine)), folder


@contextlib.contextmanager
def shown_activity(title: str) -> Iterator[Callable[[str], None]]:
    """Takes news as they come, and shows of turns only some: they come twice a second."""
    from epochmark.cli._probing import activity

    with activity(title) as tell:
        yield _now_and_then(tell)


def _now_and_then(tell: Callable[[str], None]) -> Callable[[str], None]:
    last, shown_s = "", 0.0

    def news(text: str) -> None:
        nonlocal last, shown_s
        kind, now = text.partition(":")[0], time.monotonic()
        if kind != last or now - shown_s >= NEWS_INTERVAL_S:
            last, shown_s = kind, now
            tell(text)

    return news


def tell_document(
    document: KeptT, lines: Sequence[str], files: DocumentFiles[KeptT] | None, json: bool
) -> None:
    """Save the document, and print the answer whatever comes of that."""
    from epochmark.cli._console import print_json, say

    saved = None
    try:
        saved = None if files is None else _save(document, files)
    finally:
        if json:
            print_json(document)
        else:
            say(*lines)
            if files is not None and saved is not None:
                say("", f"{files.noun} {document.id[:8]} saved: {saved}")


def _save(document: KeptT, files: DocumentFiles[KeptT]) -> Path:
    """Save it; where its folder fails now, in the folder for temporary files.

    Raises ``EpochmarkError`` with the document itself when that fails as well.
    """
    from epochmark.bench.process.temporary import temporary_root

    try:
        return files.save(document)
    except EpochmarkError as error:
        complain(error)
    try:
        return type(files)(temporary_root()).save(document)
    except EpochmarkError as error:
        text = files.encode(document).decode()
        raise EpochmarkError(f"{error}\nThis is the {files.noun}:\n{text}") from error
