"""epochmark from Python: measure, read results, take them elsewhere (docs/python-api.md).

The names here are those of ``epochmark`` itself: ``import epochmark; epochmark.run()``. The command
line is made of the same functions.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from epochmark.errors import EpochmarkError
from epochmark.judge.check import Checked, check_record
from epochmark.judge.reading import decode_record
from epochmark.judge.results import ResultFiles
from epochmark.records.bundle import MAX_BUNDLE_BYTES, documents_in, encode_bundle
from epochmark.records.digest import is_intact
from epochmark.records.files import write_atomically
from epochmark.records.json_text import RecordError, parsed
from epochmark.records.record import Machine, Record
from epochmark.report.tables.long import long_rows

if TYPE_CHECKING:
    from epochmark.records.machine.machine_limits import Limits
    from epochmark.report.subject import Subject
    from epochmark.worker.protocol import Report

__all__ = [
    "Checked",
    "EpochmarkError",
    "Record",
    "check",
    "export_results",
    "import_results",
    "load_results",
    "run",
    "to_rows",
    "write_report",
]


THE_BUNDLE = "the bundle"
"""What a bundle itself is called among what was checked."""
NOT_WHOLE = (
    "records were changed, added or left out; each record is judged by itself, and those that fit "
    "are taken"
)


def run(  # noqa: PLR0913 (the options of a run, by name)
    engine: str = "native",
    *,
    device: str = "cpu",
    precision: str = "stock",
    tuning: Literal["stock", "tuned"] = "stock",
    epochs: int | None = None,
    quick: bool = False,
    settle: bool = False,
    max_steps: int | None = None,
    batch_size: int | None = None,
    threads: int | None = None,
    seed: int = 1,
    label: str | None = None,
    save: bool = True,
    data: str | Path | None = None,
    python: str | None = None,
    on_report: Callable[[Report], None] = lambda report: None,
) -> Record:
    """Train once in a fresh worker process and return the record, saved unless told otherwise.

    The worker's interpreter is ``python``, by default ours or the managed environment in which the
    engine is ready, as for ``epochmark run``. Waits while another measurement of this user goes on.
    ``on_report`` is called with each report of the worker (``epochmark.worker.protocol``), laps
    included. A run that fails is a record too: look at ``record.headline.validity``. Raises
    ``EpochmarkError`` for what cannot be run here, and ``KeyboardInterrupt`` when the user stopped
    it, after that record was saved as well.
    """
    from epochmark.bench.interpreters.interpreter import choose_interpreter
    from epochmark.bench.plan import PlannedRun
    from epochmark.bench.process.interrupts import interrupts_later
    from epochmark.bench.process.lock import measuring_alone
    from epochmark.bench.request import RunRequest
    from epochmark.bench.session import Bench
    from epochmark.bench.tuned.search import TunedSearch, with_settings
    from epochmark.datasets import get_mnist
    from epochmark.engines import get_engine
    from epochmark.hardware.machine import describe_machine, machine_id

    request = RunRequest(
        engine=engine,
        device=device,
        precision=precision,
        tuning=tuning,
        epochs=epochs,
        quick=quick,
        settle=settle,
        max_steps=max_steps,
        batch_size=batch_size,
        threads=threads,
        seed=seed,
        label=label,
    )
    request.check()
    planned = PlannedRun(request, choose_interpreter(get_engine(engine).info, python))
    files = ResultFiles.of_user()
    if save:
        files.check_writable()
    folder = get_mnist(None if data is None else Path(data), lambda what, done, total: None)
    machine = describe_machine(machine_id(files.folder) if save else None)
    with measuring_alone(lambda holder: None):
        bench = Bench(folder, machine, _known_limits(files.folder, machine))
        if request.is_real:
            bench = bench.watching()
        if tuning == "tuned":
            search = TunedSearch(bench, files.folder, saves=save)
            planned = with_settings(planned, search.tuned(planned, lambda doing: None))
        with interrupts_later():
            measured = bench.measure(planned, on_report)
            if save:
                files.save(measured.record, measured.stderr)
    if measured.interrupted:
        raise KeyboardInterrupt
    return measured.record


def load_results(source: str | Path | None = None) -> list[Record]:
    """The records in a folder (default: this user's results), a bundle, or a single record file.

    In a folder, files that are no records are skipped with a warning; so are records of a bundle
    that cannot be read or were changed. Raises ``EpochmarkError`` for a file that is no bundle.
    """
    files = ResultFiles.of_user() if source is None else ResultFiles(Path(source))
    if source is not None and not files.folder.is_dir():
        records, troubles = readable_records(Path(source))
        for trouble in troubles:
            warnings.warn(trouble, stacklevel=2)
        return records
    stored, unreadable = files.load()
    for one in unreadable:
        warnings.warn(f"skipped {one.file}: {one.reason}", stacklevel=2)
    return [one.record for one in stored]


def to_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """One flat dictionary per record, ready for ``pandas.DataFrame`` or ``polars.DataFrame``.

    Columns: ``epochmark.report.tables.long.COLUMNS``; seconds end in ``_s``, dates are UTC, missing
    is None.
    """
    return long_rows(records, ())


def write_report(records: Sequence[Record], file: str | Path) -> None:
    """Write the HTML report about these records, beside the published machines.

    This machine is the one whose id is kept with the user's results, if it has this processor and
    is among them, else that of the newest record.
    """
    from epochmark.report.page import report_page

    write_file(Path(file), report_page(subject(records)).encode())


def subject(records: Sequence[Record]) -> Subject:
    """What charts and reports of these records are about."""
    from epochmark.analysis.comparing.references import load_references
    from epochmark.hardware.machine import describe_machine, machine_id
    from epochmark.report.subject import subject_of

    folder = ResultFiles.of_user().folder
    own = describe_machine(machine_id(folder)) if folder.is_dir() else None
    return subject_of(records, load_references(), own, _known_limits(folder))


def _known_limits(folder: Path, machine: Machine | None = None) -> Limits | None:
    """The limits stored beside the results, with ``machine`` only its own; a file that cannot be
    read is warned of."""
    from epochmark.records.machine.machine_limits import read_limits

    try:
        return read_limits(folder, machine)
    except EpochmarkError as error:
        warnings.warn(str(error), stacklevel=3)
        return None


def export_results(
    records: Sequence[Record], file: str | Path, *, keep_machine_ids: bool = False
) -> None:
    """Write the records as one bundle; without their machine ids unless asked for."""
    write_file(Path(file), encode_bundle(records, keep_machine_ids))


def import_results(
    file: str | Path, *, into: ResultFiles | None = None
) -> tuple[list[Record], list[Checked]]:
    """Save the records of a bundle among the user's results; return those that were new, and those
    refused with the reasons. Records already there are passed over. Each record is judged by
    itself, also where the bundle is not whole, which is told among the refused.

    Raises ``EpochmarkError`` when the file is no bundle.
    """
    files = into or ResultFiles.of_user()
    known = {one.record.id[:8]: one.record for one in files.load()[0]}
    added: list[Record] = []
    refused: list[Checked] = []
    for checked in check(file):
        record = checked.record
        if record is None or checked.problems:
            refused.append(checked)
            continue
        twin = known.get(record.id[:8])
        if twin is None:
            files.save(record)
            added.append(record)
            known[record.id[:8]] = record
        elif twin.digest != record.digest:
            clash = "another record here begins with the same id and says something else"
            refused.append(Checked(record.id, record, (clash,)))
    return added, refused


def check(file: str | Path) -> list[Checked]:
    """Derive everything in a bundle or record file anew, and say of each record what does not fit.

    Proves consistency, not authenticity. A bundle that is not whole is the first entry, without a
    record; its records are judged by themselves all the same. Raises ``EpochmarkError`` when the
    file is neither.
    """
    documents, whole = _documents(Path(file))
    results = [check_record(document) for document in documents]
    ids = [one.record.id for one in results if one.record is not None]
    problems = []
    if not whole:
        problems.append(f"its sum is another one: {NOT_WHOLE}")
    if len(set(ids)) < len(ids):
        problems.append("it holds a record twice")
    return [*([Checked(THE_BUNDLE, None, tuple(problems))] if problems else []), *results]


def readable_records(file: Path) -> tuple[list[Record], list[str]]:
    """The records of a bundle, or of a record file, that are as they were written, and in sentences
    what is not. Raises ``EpochmarkError`` when the file is neither, or nothing in it can be read.
    """
    documents, whole = _documents(file)
    records, troubles = [], [] if whole else [f"{file} is not whole: {NOT_WHOLE}"]
    for document in documents:
        try:
            record = decode_record(document)
            if len(documents) > 1 and not is_intact(parsed(document)):
                raise RecordError("it was changed after it was written")
            records.append(record)
        except RecordError as error:
            troubles.append(f"{file} holds a record that is left out: {error}")
    if documents and not records:
        raise EpochmarkError("\n".join(troubles))
    return records, troubles


def _documents(file: Path) -> tuple[list[bytes], bool]:
    """The record documents in a file, never more than a bundle may have."""
    try:
        with file.open("rb") as stream:
            return documents_in(stream.read(MAX_BUNDLE_BYTES + 1))
    except OSError as error:
        raise EpochmarkError(f"{file} cannot be read: {error.strerror}", exit_code=2) from error
    except RecordError as error:
        raise EpochmarkError(
            f"{file} is neither a bundle nor a record: {error}", exit_code=2
        ) from error


def write_file(file: Path, content: bytes) -> None:
    """Write a file that others may read, whole or not at all. What is no regular file, such as
    ``/dev/stdout``, is written to, and a link keeps leading to the file: the user named it. Beside
    the results, where names are ours, a link is replaced and leads nowhere."""
    try:
        if file.parent.resolve() == ResultFiles.of_user().folder.resolve():
            write_atomically(file, content, 0o666)
        elif file.exists() and not file.is_file() and not file.is_dir():
            file.write_bytes(content)
        else:
            write_atomically(file.resolve(), content, 0o666)
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise EpochmarkError(f"{file} cannot be written: {why}", exit_code=2) from error
