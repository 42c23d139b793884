"""The user's results, judged as they are read and written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from epochmark.errors import EpochmarkError
from epochmark.judge.reading import decode_record, readable
from epochmark.records.dates import age_order
from epochmark.records.json_text import RecordError
from epochmark.records.record import Record
from epochmark.records.store import RecordFolder
from epochmark.records.wording import counted


@dataclass(frozen=True)
class UnreadableFile:
    """A file among the results that is no record we can read, and why."""

    file: Path
    reason: str


@dataclass(frozen=True)
class StoredRecord:
    """A record and the file it came from."""

    file: Path
    record: Record


class ResultFiles(RecordFolder):
    """One folder of results: nothing is kept that could not be read again, nothing read that
    contradicts itself."""

    def save(self, record: Record, stderr: bytes = b"") -> Path:
        """``write``; a record that could not be read again as that of a failure (``readable``)."""
        return self.write(readable(record), stderr)

    def load(self) -> tuple[list[StoredRecord], list[UnreadableFile]]:
        """All records, oldest first and before them those whose date cannot be, and the files that
        could not be read."""
        records: list[StoredRecord] = []
        unreadable: list[UnreadableFile] = []
        for file, content in self.documents():
            if not isinstance(content, bytes):
                unreadable.append(UnreadableFile(file, str(content)))
                continue
            try:
                records.append(StoredRecord(file, decode_record(content)))
            except RecordError as error:
                unreadable.append(UnreadableFile(file, str(error)))
        records.sort(key=lambda stored: age_order(stored.record))
        return records, unreadable

    def find(self, id_start: str) -> StoredRecord:
        """The one record whose id begins so. Raises ``EpochmarkError`` for none or several."""
        records, unreadable = self.load()
        matches = [stored for stored in records if stored.record.id.startswith(id_start)]
        if not id_start or not matches:
            skipped = (
                f" ({counted(len(unreadable), 'file')} could not be read)" if unreadable else ""
            )
            raise EpochmarkError(
                f"no result has an id that begins with {id_start!r} in {self.folder}{skipped}; "
                "'epochmark results list' shows all",
                exit_code=2,
            )
        if len(matches) > 1:
            ids = sorted({stored.record.id for stored in matches})
            names = ", ".join(stored.file.name for stored in matches[:5])
            raise EpochmarkError(
                f"{len(matches)} results have an id that begins with {id_start!r}: "
                + (
                    f"{', '.join(ids[:5])}; type more of it"
                    if len(ids) > 1
                    else f"{names} are copies of one record; keep one of them"
                ),
                exit_code=2,
            )
        return matches[0]

    def remove(self, stored: StoredRecord) -> None:
        """Delete a record's file and its side file."""
        try:
            stored.file.unlink()
            stored.file.with_suffix(".stderr.txt").unlink(missing_ok=True)
        except OSError as error:
            raise EpochmarkError(f"{stored.file} cannot be removed: {error.strerror}") from error
