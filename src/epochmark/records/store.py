"""The user's folder of result files: one JSON file per run. ``judge.results`` reads them."""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from epochmark.errors import EpochmarkError
from epochmark.folders import user_folder
from epochmark.records.files import IrregularFileError, read_regular, write_atomically
from epochmark.records.json_text import RecordError
from epochmark.records.record import Record
from epochmark.records.upgrades import MAX_RECORD_BYTES, encode_record

FOLDER_VARIABLE = "EPOCHMARK_RESULTS"


class RecordFolder:
    """One folder of result files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of_user(cls) -> Self:
        """The folder named by ``EPOCHMARK_RESULTS``, else ``results`` in the user's data folder."""
        return cls(user_folder(FOLDER_VARIABLE, "results"))

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

    def write(self, record: Record, stderr: bytes = b"") -> Path:
        """Write the record, and what its worker wrote to stderr into a side file; return its path.

        Raises ``EpochmarkError`` when it cannot be written; nothing half-written is left then.
        """
        day = record.created[:10]
        device = re.sub(r"[^a-z0-9]", "", record.device.requested)[:16]
        name = f"{day}-{record.engine.name}-{device}-{record.id[:8]}"
        if stderr:
            self.write_file(f"{name}.stderr.txt", stderr)
        return self.write_file(f"{name}.json", encode_record(record))

    def write_file(self, name: str, content: bytes) -> Path:
        """Write a file of that name and return its path.

        Raises ``EpochmarkError`` when it cannot be written; nothing half-written is left then.
        """
        file = self.folder / name
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_atomically(file, content)
        except OSError as error:
            raise EpochmarkError(self._unsaved(error)) from error
        return file

    def _unsaved(self, error: OSError) -> str:
        return (
            f"results cannot be saved in {self.folder}: {error.strerror or error}.\n"
            f"Free some space, set {FOLDER_VARIABLE} to a writable folder, or run with "
            "--no-save."
        )

    def documents(self) -> Iterator[tuple[Path, bytes | RecordError | OSError]]:
        """Each file that may hold a record, by name, and its bytes or why it cannot be read."""
        for file in self._files():
            try:
                yield file, _read_bounded(file)
            except (RecordError, OSError) as error:
                yield file, error

    def _files(self) -> Iterator[Path]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            yield from sorted(self.folder.glob("*.json"))


def _read_bounded(file: Path) -> bytes:
    """A regular file's bytes, never more than a record may have."""
    try:
        return read_regular(file, MAX_RECORD_BYTES + 1)
    except IrregularFileError as error:
        raise RecordError(str(error)) from error
