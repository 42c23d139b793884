"""Where records of a fleet land: a file for each node, replaced whole when a record comes."""

from __future__ import annotations

import re
from pathlib import Path

from epochmark.errors import EpochmarkError
from epochmark.fleet.launchers.on_node import Done
from epochmark.judge.reading import decode_record
from epochmark.records.bundle import documents_in
from epochmark.records.files import write_atomically
from epochmark.records.json_text import RecordError


class Landing:
    """A folder that ``epochmark fleet report`` reads. Raises ``EpochmarkError`` where it cannot be
    made or written, or holds files already: a node's file is replaced whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._records: dict[str, list[bytes]] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EpochmarkError(f"{folder} cannot be made: {error.strerror}") from error
        if any(folder.glob("*.json")):
            raise EpochmarkError(
                f"{folder} holds records already: name another folder with --into. "
                "'epochmark fleet report' takes several.",
                exit_code=2,
            )

    def take(self, node: str, done: Done) -> str | None:
        """Keep the records in what a run on a node printed; say why there are none."""
        try:
            documents, _ = documents_in(done.document)
            for each in documents:
                decode_record(each)
        except RecordError as error:
            said = done.said.strip().splitlines()[-1:] or [f"what it printed: {error}"]
            return f"a run ended with exit code {done.status} and no record: {said[0]}"
        own = self._records.setdefault(safe_name(node), [])
        own += documents
        try:
            write_atomically(self.file(node), b"[" + b",\n".join(own) + b"]\n", 0o666)
        except OSError as error:
            raise EpochmarkError(
                f"{self.file(node)} cannot be written: {error.strerror}"
            ) from error
        return None

    def file(self, node: str) -> Path:
        """That of a node; no name leads out of the folder."""
        return self.folder / f"{safe_name(node)}.json"


def safe_name(node: str) -> str:
    """A node's name as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]", "_", node).lstrip(".")[:80] or "node"
