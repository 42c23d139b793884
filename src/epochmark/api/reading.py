"""Read what is there: the user's records, those of bundles and files, the machine's limits."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from epochmark.errors import EpochmarkError, EpochmarkWarning
from epochmark.judge.reading import decode_each
from epochmark.judge.results import ResultFiles, UnreadableFile
from epochmark.records.bundle import MAX_BUNDLE_BYTES, documents_in
from epochmark.records.documents.kinds import is_of_runs
from epochmark.records.json_text import RecordError
from epochmark.records.record import Machine, Record
from epochmark.report.tables.long import long_rows

if TYPE_CHECKING:
    from epochmark.records.machine.machine_limits import Limits

NOT_WHOLE = (
    "records were changed, added or removed; each record is checked on its own, and the sound "
    "ones are used"
)


def load_results(source: str | Path | None = None) -> list[Record]:
    """The records in a folder (default: this user's results), a bundle, or a file with one record
    or a list of them.

    In a folder, files that are no records are skipped with a warning; so are records of a bundle
    that cannot be read or were changed. Raises ``EpochmarkError`` for a file that holds no records.
    """
    files = ResultFiles.of_user() if source is None else ResultFiles(Path(source))
    if source is not None and not files.folder.is_dir():
        return records_of_file(Path(source))
    stored, unreadable = files.load()
    warn_skipped(unreadable)
    return [run.record for run in stored]


def to_rows(records: Sequence[Record]) -> list[dict[str, Any]]:
    """One flat dictionary per record, ready for ``pandas.DataFrame`` or ``polars.DataFrame``.

    Columns: ``epochmark.report.tables.long.COLUMNS``; seconds end in ``_s``, dates are UTC, missing
    is None.
    """
    return long_rows(records, ())


def warn_skipped(files: Sequence[UnreadableFile]) -> None:
    """Warn of each file among the results that could not be read."""
    for unreadable in files:
        warnings.warn(
            f"skipped {unreadable.file}: {unreadable.reason}", EpochmarkWarning, stacklevel=3
        )


def records_of_file(file: Path) -> list[Record]:
    """The records of a bundle or a record file; what is left out of it is warned of. Raises
    ``EpochmarkError`` when it holds no records, or nothing in it can be read."""
    records, troubles = _readable_records(file)
    for trouble in troubles:
        warnings.warn(trouble, EpochmarkWarning, stacklevel=3)
    return records


def _readable_records(file: Path) -> tuple[list[Record], list[str]]:
    """The records of a file that are as they were written, and in sentences what is not."""
    found, whole = documents_of(file)
    documents = [document for document in found if is_of_runs(document)]
    troubles = [] if whole else [f"{file} is not intact: {NOT_WHOLE}"]
    records: list[Record] = []
    for read in decode_each(documents):
        if isinstance(read, Record):
            records.append(read)
        else:
            troubles.append(f"{file} holds a record that is skipped: {read}")
    if documents and not records:
        raise EpochmarkError("\n".join(troubles))
    return records, troubles


def documents_of(source: str | Path | BinaryIO) -> tuple[list[bytes], bool]:
    """The documents in a file or stream, never more than a bundle may have,
    and whether all of them are there. Raises ``EpochmarkError`` (exit code 2) for none."""
    name = str(source) if isinstance(source, str | Path) else "the input"
    try:
        return documents_in(_read(source))
    except OSError as error:
        raise EpochmarkError(f"{name} cannot be read: {error.strerror}", exit_code=2) from error
    except RecordError as error:
        raise EpochmarkError(
            f"{name} is neither a bundle nor a record: {error}", exit_code=2
        ) from error


def _read(source: str | Path | BinaryIO) -> bytes:
    if not isinstance(source, str | Path):
        return source.read(MAX_BUNDLE_BYTES + 1)
    with Path(source).open("rb") as stream:
        return stream.read(MAX_BUNDLE_BYTES + 1)


def known_limits(folder: Path, machine: Machine | None = None) -> Limits | None:
    """The limits stored beside the results, with ``machine`` only its own; a file that cannot be
    read is warned of."""
    from epochmark.records.machine.limits_file import read_limits

    try:
        return read_limits(folder, machine)
    except EpochmarkError as error:
        warnings.warn(str(error), EpochmarkWarning, stacklevel=3)
        return None
