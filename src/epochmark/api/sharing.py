"""Take records elsewhere and take in those of others: export, check, import."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from epochmark.api.reading import NOT_WHOLE, documents_of
from epochmark.api.reporting import write_file
from epochmark.errors import EpochmarkWarning
from epochmark.judge.check import Checked, check_record
from epochmark.judge.results import ResultFiles
from epochmark.records.bundle import documents_in, encode_bundle
from epochmark.records.record import Record

THE_BUNDLE = "the bundle"
"""What a bundle itself is called among what was checked."""


def export_results(
    records: Sequence[Record], file: str | Path, *, keep_machine_ids: bool = False
) -> None:
    """Write the records as one bundle; without their machine ids unless asked for.

    A record that ``check`` and ``import_results`` refuse is written as well, with a warning.
    """
    bundle = encode_bundle(records, keep_machine_ids)
    write_file(Path(file), bundle)
    for checked in map(check_record, documents_in(bundle)[0]):
        if checked.problems:
            lines = (f"check and import will refuse {checked.name}:", *checked.problems)
            warnings.warn("\n  - ".join(lines), EpochmarkWarning, stacklevel=2)


def import_results(
    file: str | Path | BinaryIO, *, into: ResultFiles | None = None
) -> tuple[list[Record], list[Checked]]:
    """Save the records of a bundle, or of what ``epochmark run --json`` printed, among the user's
    results; return those that were new, and those refused with the reasons. Records already there
    are passed over. Each record is judged by itself, also where the bundle is not whole, which is
    listed among the refused.

    Raises ``EpochmarkError`` when the file, or the open stream, holds no records.
    """
    files = into or ResultFiles.of_user()
    known = {run.record.id[:8]: run.record for run in files.load()[0]}
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
            clash = "another record here has the same id but different content"
            refused.append(Checked(record.id, record, (clash,)))
    return added, refused


def check(file: str | Path | BinaryIO) -> list[Checked]:
    """Derive everything in a bundle, a record, or what ``epochmark run --json`` printed, again, and
    say of each record what does not fit.

    Proves consistency, not authenticity. A bundle that is not whole is the first entry, without a
    record; its records are judged by themselves all the same. Raises ``EpochmarkError`` when the
    file, or the open stream, holds no records.
    """
    documents, whole = documents_of(file)
    results = [check_record(document) for document in documents]
    ids = [result.record.id for result in results if result.record is not None]
    problems = []
    if not whole:
        problems.append(f"its checksum does not match: {NOT_WHOLE}")
    if len(set(ids)) < len(ids):
        problems.append("it holds a record twice")
    return [*([Checked(THE_BUNDLE, None, tuple(problems))] if problems else []), *results]
