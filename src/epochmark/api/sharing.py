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
from epochmark.judge.documents.races import RaceFiles, check_race
from epochmark.judge.documents.scalings import ScalingFiles, check_scaling
from epochmark.judge.results import ResultFiles
from epochmark.records.bundle import documents_in, encode_bundle
from epochmark.records.documents.kinds import Document, kind_of
from epochmark.records.documents.race import Race
from epochmark.records.documents.scaling import Scaling

THE_BUNDLE = "the bundle"
"""What a bundle itself is called among what was checked."""


def export_results(
    records: Sequence[Document], file: str | Path, *, keep_machine_ids: bool = False
) -> None:
    """Write records, races and scalings as one bundle; without their machine ids unless asked for.

    What ``check`` and ``import_results`` refuse is written as well, with a warning.
    """
    bundle = encode_bundle(records, keep_machine_ids)
    write_file(Path(file), bundle)
    for checked in map(_checked, documents_in(bundle)[0]):
        if checked.problems:
            lines = (f"check and import will refuse {checked.name}:", *checked.problems)
            warnings.warn("\n  - ".join(lines), EpochmarkWarning, stacklevel=2)


def import_results(
    file: str | Path | BinaryIO, *, into: ResultFiles | None = None
) -> tuple[list[Document], list[Checked]]:
    """Save the records, races and scalings of a bundle, or of what ``epochmark run --json``
    printed, among the user's results; return those that were new, and those refused with the
    reasons. What is already there is passed over. Each is judged by itself, also where the bundle
    is not whole, which is listed among the refused.

    Raises ``EpochmarkError`` when the file, or the open stream, holds no records.
    """
    files = into or ResultFiles.of_user()
    races = RaceFiles(files.folder / RaceFiles.folder_name)
    scalings = ScalingFiles(files.folder / ScalingFiles.folder_name)
    known: dict[str, Document] = {run.record.id[:8]: run.record for run in files.load()[0]}
    known |= {run.document.id[:8]: run.document for run in races.load()[0]}
    known |= {run.document.id[:8]: run.document for run in scalings.load()[0]}

    def save(found: Document) -> None:
        if isinstance(found, Race):
            races.save(found)
        elif isinstance(found, Scaling):
            scalings.save(found)
        else:
            files.save(found)

    added: list[Document] = []
    refused: list[Checked] = []
    for checked in check(file):
        found = checked.document
        if found is None or checked.problems:
            refused.append(checked)
            continue
        twin = known.get(found.id[:8])
        if twin is None:
            save(found)
            added.append(found)
            known[found.id[:8]] = found
        elif twin.digest != found.digest:
            clash = "another record here has the same id but different content"
            refused.append(
                Checked(found.id, checked.record, (clash,), (), checked.race, checked.scaling)
            )
    return added, refused


def check(file: str | Path | BinaryIO) -> list[Checked]:
    """Derive everything in a bundle, a record, or what ``epochmark run --json`` printed, again, and
    say of each record what does not fit.

    Proves consistency, not authenticity. A bundle that is not whole is the first entry, without a
    record; its records are judged by themselves all the same. Raises ``EpochmarkError`` when the
    file, or the open stream, holds no records.
    """
    documents, whole = documents_of(file)
    results = [_checked(document) for document in documents]
    found = [result.document for result in results]
    ids = [document.id for document in found if document is not None]
    problems = []
    if not whole:
        problems.append(f"its checksum does not match: {NOT_WHOLE}")
    if len(set(ids)) < len(ids):
        problems.append("it holds a record twice")
    return [*([Checked(THE_BUNDLE, None, tuple(problems))] if problems else []), *results]


def _checked(document: bytes) -> Checked:
    kind = kind_of(document)
    if kind is Race:
        return check_race(document)
    return check_scaling(document) if kind is Scaling else check_record(document)
