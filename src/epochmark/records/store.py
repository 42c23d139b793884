"""The user's result files: one JSON file per run, written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from epochmark.errors import EpochmarkError, in_home
from epochmark.judge.readable import readable
from epochmark.records.dates import age_order
from epochmark.records.json_text import RecordError
from epochmark.records.record import Record
from epochmark.records.upgrades import MAX_RECORD_BYTES, decode_record, encode_record

FOLDER_VARIABLE = "EPOCHMARK_RESULTS"


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


class ResultFiles:
    """One folder of result files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of_user(cls) -> ResultFiles:
        """The folder named by ``EPOCHMARK_RESULTS``, else ``results`` in the user's data folder."""
        named = os.environ.get(FOLDER_VARIABLE)
        if named:
            folder = in_home(Path(named).expanduser, f"{FOLDER_VARIABLE} to other than {named}")
            return cls(folder.absolute())
        import platformdirs

        data = in_home(
            lambda: platformdirs.user_data_path("epochmark"),
            f"{FOLDER_VARIABLE} to a folder for results",
        )
        return cls(data / "results")

    def check_writable(self) -> None:
        """Find out before minutes are spent whether a record could be saved here.

        Raises ``EpochmarkError`` with the reason.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder) as probe:
                probe.write(b"\0" * (1 << 16))
                probe.flush()
        except OSError as error:
            raise EpochmarkError(self._unsaved(error)) from error

    def save(self, record: Record, stderr: bytes = b"") -> Path:
        """Write the record, and what its worker wrote to stderr into a side file; return its path.

        A record that nobody could read again is written as that of a failure (``readable``). Raises
        ``EpochmarkError`` when it cannot be written; nothing half-written is left then.
        """
        record = readable(record)
        day = record.created[:10]
        device = re.sub(r"[^a-z0-9]", "", record.device.requested)[:16]
        name = f"{day}-{record.engine.name}-{device}-{record.id[:8]}"
        file = self.folder / f"{name}.json"
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if stderr:
                write_atomically(self.folder / f"{name}.stderr.txt", stderr)
            write_atomically(file, encode_record(record))
        except OSError as error:
            raise EpochmarkError(self._unsaved(error)) from error
        return file

    def _unsaved(self, error: OSError) -> str:
        return (
            f"results cannot be saved in {self.folder}: {error.strerror or error}.\n"
            f"Free some space, set {FOLDER_VARIABLE} to a folder that can be written, or run with "
            "--no-save."
        )

    def load(self) -> tuple[list[StoredRecord], list[UnreadableFile]]:
        """All records, oldest first and before them those whose date cannot be, and the files that
        could not be read."""
        records: list[StoredRecord] = []
        unreadable: list[UnreadableFile] = []
        for file in self._files():
            try:
                records.append(StoredRecord(file, decode_record(_read_bounded(file))))
            except (RecordError, OSError) as error:
                unreadable.append(UnreadableFile(file, str(error)))
        records.sort(key=lambda stored: age_order(stored.record))
        return records, unreadable

    def find(self, id_start: str) -> StoredRecord:
        """The one record whose id begins so. Raises ``EpochmarkError`` for none or several."""
        records, unreadable = self.load()
        matches = [stored for stored in records if stored.record.id.startswith(id_start)]
        if not id_start or not matches:
            skipped = f" ({len(unreadable)} files could not be read)" if unreadable else ""
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
                    f"{', '.join(ids[:5])}; give more of it"
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

    def _files(self) -> Iterator[Path]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            yield from sorted(self.folder.glob("*.json"))


def _read_bounded(file: Path) -> bytes:
    """A regular file's bytes, never more than a record may have."""
    try:
        return read_regular(file, MAX_RECORD_BYTES + 1)
    except IrregularFileError as error:
        raise RecordError(str(error)) from error


class IrregularFileError(ValueError):
    """A file that might block whoever reads it, or never end."""


def read_regular(file: Path, most: int) -> bytes:
    """So many bytes of a regular file at most, also where a link leads to it. Raises
    ``IrregularFileError`` for a pipe, a device or a folder, and ``OSError``."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IrregularFileError("it is not a regular file")
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(most)


def write_atomically(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace ``file`` by one with this content, on disk before it gets its name.

    ``mode``: its permissions, less what the user's umask takes away.
    """
    temporary = file.parent / f".{file.name[:40]}-{secrets.token_hex(4)}"
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # not every file system can sync a folder
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
