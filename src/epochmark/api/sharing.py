"""Take records elsewhere and take in those of others: export, check, import."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from epochmark.api.reading import NOT_WHOLE, documents_of
from epochmark.api.reporting import write_file
from epochmark.judge.check import Checked, check_record
from epochmark.judge.races import FOLDER, RaceFiles, check_race
from epochmark.judge.results import ResultFiles
from epochmark.records.bundle import encode_bundle
from epochmark.records.race import Race, is_race
from epochmark.records.record import Record

THE_BUNDLE = "the bundle"
"""What a bundle itself is called among what was checked."""


def export_results(
    records: Sequence[Record | Race], file: str | Path, *, keep_machine_ids: bool = False
) -> None:
    """Write records and races as one bundle; without their machine ids unless asked for."""
    write_file(Path(file), encode_bundle(records, keep_machine_ids))


def import_results(
    file: str | Path | BinaryIO, *, into: ResultFiles | None = None
) -> tuple[list[Record | Race], list[Checked]]:
    """Save the records and races of a bundle, or of what ``epochmark run --json`` printed, among
    the user's results; return those that were new, and those refused with the reasons. What is
    already there is passed over. Each is judged by itself, also where the bundle is not whole,
    which is listed among the refused.

    Raises ``EpochmarkError`` when the file, or the open stream, holds no records.
    """
    files = into or ResultFiles.of_user()
    races = RaceFiles(files.folder / FOLDER)
    known: dict[str, Record | Race] = {one.record.id[:8]: one.record for one in files.load()[0]}
    known |= {one.race.id[:8]: one.race for one in races.load()[0]}
    added: list[Record | Race] = []
    refused: list[Checked] = []
    for checked in check(file):
        one = checked.record or checked.race
        if one is None or checked.problems:
            refused.append(checked)
            continue
        twin = known.get(one.id[:8])
        if twin is None:
            races.save(one) if isinstance(one, Race) else files.save(one)
            added.append(one)
            known[one.id[:8]] = one
        elif twin.digest != one.digest:
            clash = "another record here has the same id but different content"
            refused.append(Checked(one.id, checked.record, (clash,), race=checked.race))
    return added, refused


def check(file: str | Path | BinaryIO) -> list[Checked]:
    """Derive everything in a bundle, a record, or what ``epochmark run --json`` printed, again, and
    say of each record what does not fit.

    Proves consistency, not authenticity. A bundle that is not whole is the first entry, without a
    record; its records are judged by themselves all the same. Raises ``EpochmarkError`` when the
    file, or the open stream, holds no records.
    """
    documents, whole = documents_of(file)
    results = [check_race(one) if is_race(one) else check_record(one) for one in documents]
    found = [one.record or one.race for one in results]
    ids = [one.id for one in found if one is not None]
    problems = []
    if not whole:
        problems.append(f"its checksum does not match: {NOT_WHOLE}")
    if len(set(ids)) < len(ids):
        problems.append("it holds a record twice")
    return [*([Checked(THE_BUNDLE, None, tuple(problems))] if problems else []), *results]
