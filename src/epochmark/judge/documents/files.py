"""Folders of documents that compare several trainings, beside the records of runs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Self, TypeVar

import msgspec

from epochmark.errors import EpochmarkError
from epochmark.judge.check import differing_fields
from epochmark.judge.results import UnreadableFile
from epochmark.records.documents.race import Race
from epochmark.records.documents.scaling import Scaling
from epochmark.records.json_text import RecordError, retyped
from epochmark.records.store import RecordFolder

KeptT = TypeVar("KeptT", Race, Scaling)


@dataclass(frozen=True)
class Stored(Generic[KeptT]):
    """A document and the file it came from."""

    file: Path
    document: KeptT

    def remove(self) -> None:
        """Delete the file. Raises ``EpochmarkError``."""
        try:
            self.file.unlink()
        except OSError as error:
            raise EpochmarkError(f"{self.file} cannot be removed: {error.strerror}") from error


def differing(
    stored: dict[str, Any], field: str, document: KeptT, names: Sequence[str]
) -> Iterator[str]:
    """What stands in the list ``field`` of a file against what the document's turns give;
    ``names`` are those of its entries."""
    truths: list[msgspec.Struct] = getattr(document, field)
    try:
        said = [
            msgspec.convert(claim, type(truth))
            for claim, truth in zip(retyped(stored, type(document))[field], truths, strict=True)
        ]
    except (KeyError, TypeError, ValueError, msgspec.ValidationError):
        yield f"its {field} are not those of {len(truths)} entries"
        return
    for name, claim, truth in zip(names, said, truths, strict=True):
        for part, theirs, ours in differing_fields(claim, truth):
            yield f"it says {part} {theirs} of {name}, its turns give {ours}"


class DocumentFiles(RecordFolder, ABC, Generic[KeptT]):
    """The documents of one kind, which messages call ``noun``."""

    folder_name: ClassVar[str]
    noun: ClassVar[str]

    @abstractmethod
    def encode(self, document: KeptT) -> bytes:
        """It as JSON."""

    @abstractmethod
    def decode(self, document: bytes) -> KeptT:
        """It from JSON that is not trusted, judged. Raises ``RecordError``."""

    @classmethod
    def of_user(cls) -> Self:
        return cls(super().of_user().folder / cls.folder_name)

    def save(self, document: KeptT) -> Path:
        """Write it, if it can be read again, and return its path. Raises ``EpochmarkError``."""
        content = self.encode(document)
        try:
            self.decode(content)
        except RecordError as error:
            raise EpochmarkError(f"no document can be made of this {self.noun}: {error}") from error
        return self.write_file(
            f"{document.created[:10]}-{self.noun}-{document.id[:8]}.json", content
        )

    def load(self) -> tuple[list[Stored[KeptT]], list[UnreadableFile]]:
        """All of them, oldest first, and the files that could not be read."""
        found: list[Stored[KeptT]] = []
        unreadable: list[UnreadableFile] = []
        for file, content in self.documents():
            try:
                if not isinstance(content, bytes):
                    raise RecordError(str(content))
                found.append(Stored(file, self.decode(content)))
            except RecordError as error:
                unreadable.append(UnreadableFile(file, str(error)))
        found.sort(key=lambda stored: (stored.document.created, stored.document.id))
        return found, unreadable

    def find(self, id_start: str) -> Stored[KeptT] | None:
        """The one whose id begins so; None for none. Raises ``EpochmarkError`` (exit code 2) for
        several."""
        matches = [stored for stored in self.load()[0] if stored.document.id.startswith(id_start)]
        if len(matches) > 1:
            ids = ", ".join(stored.document.id for stored in matches[:5])
            raise EpochmarkError(
                f"{len(matches)} {self.noun}s have an id that begins with {id_start!r}: {ids}; "
                "type more of it",
                exit_code=2,
            )
        return matches[0] if matches and id_start else None
