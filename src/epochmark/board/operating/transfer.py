"""A board's results in and out as files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import BinaryIO, Literal

from epochmark.analysis.comparing.references import load_references
from epochmark.board.intake.receive import receive
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.protocol import MAX_DOCUMENT_BYTES
from epochmark.board.storage.database import Database
from epochmark.board.storage.published import put_published
from epochmark.board.storage.results import result_by_digest, shown_documents
from epochmark.errors import EpochmarkError
from epochmark.records.bundle import MAX_BUNDLE_BYTES, documents_in
from epochmark.records.files import (
    IrregularFileError,
    read_regular,
    remove_leftovers,
    written_atomically,
)
from epochmark.records.json_text import RecordError, parsed

DUMP_ENDING = ".jsonl.gz"
LEFT_S = 24 * 3600.0
"""A file that was written to within this time may be of a dump that is under way."""
_ON_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")
"""Strings of JSON have no bare line ends, so these are only between its parts."""

Outcome = Literal["imported", "known", "refused"]


def import_file(database: Database, file: Path) -> Iterator[tuple[Outcome, list[str]]]:
    """Take in the records of a bundle, of a single record, or of a dump, each by itself; yield
    what became of each, and of a refused one the reasons.

    They have no key, and are shown if they recompute. Raises ``EpochmarkError`` for a
    file that holds no records.
    """
    for document in _documents(file):
        yield _taken(database, document)


def import_first_results(database: Database) -> Iterator[tuple[Outcome, list[str]]]:
    """Likewise, the runs that come with this package."""
    with resources.as_file(resources.files("epochmark.board.first") / "results.jsonl.gz") as file:
        yield from import_file(database, file)


def import_published(database: Database) -> int:
    """Take in the published results of other machines, as such; how many."""
    with database.writing() as connection:
        return put_published(connection, load_references())


def _taken(database: Database, document: bytes) -> tuple[Outcome, list[str]]:
    try:
        if len(document) > MAX_DOCUMENT_BYTES:
            raise RefusedError(413, f"a record has more than {MAX_DOCUMENT_BYTES >> 20} MiB")
        is_new = not _is_shown(database, document) and receive(database, document, None).is_new
    except RefusedError as refused:
        problems = (f"  - {problem}" for problem in refused.problems)
        return "refused", [f"refused: {refused.sentence}", *problems]
    return "imported" if is_new else "known", []


def _is_shown(database: Database, document: bytes) -> bool:
    """Whether a result with the digest that a document names is here: then an import that goes on
    where an earlier one was interrupted need not recompute it."""
    try:
        digest = parsed(document)["digest"]
    except (RecordError, RecursionError, KeyError, TypeError):
        return False
    with database.reading() as connection:
        found = result_by_digest(connection, digest) if isinstance(digest, str) else None
    return found is not None and found.state == "shown"


def _documents(file: Path) -> Iterator[bytes]:
    try:
        if file.name.endswith(DUMP_ENDING):
            yield from _lines(file)
        else:
            yield from documents_in(read_regular(file, MAX_BUNDLE_BYTES + 1))[0]
    except (OSError, EOFError, zlib.error, IrregularFileError) as error:
        why = getattr(error, "strerror", None) or error
        raise EpochmarkError(f"{file} cannot be read: {why}", exit_code=2) from error
    except RecordError as error:
        raise EpochmarkError(f"{file} holds no records: {error}", exit_code=2) from error


def _lines(file: Path) -> Iterator[bytes]:
    """Documents of a dump, one a line, never more of a line than a document may have."""
    with gzip.open(file) as stream:
        while line := stream.readline(MAX_DOCUMENT_BYTES + 2):
            yield line.rstrip(b"\n")


def dump(database: Database, file: Path, progress: Callable[[int], None]) -> int:
    """Write every shown result's document to ``FILE.jsonl.gz``, newest first, one JSON document a
    line; return how many, and give ``progress`` the number so far.

    A few documents at a time are in memory. The file replaces an older one when it is whole; what
    killed dumps left beside it is removed. Raises ``EpochmarkError`` when it cannot be written.
    """
    if not file.name.endswith(DUMP_ENDING):
        raise EpochmarkError(f"a dump's name ends in {DUMP_ENDING}, not {file.name}", exit_code=2)
    count = 0
    try:
        remove_leftovers(file, LEFT_S)
        with written_atomically(file, 0o644) as stream, _packing(stream) as packed:
            for document in shown_documents(database):
                packed.write(document.translate(_ON_ONE_LINE) + b"\n")
                count += 1
                progress(count)
    except OSError as error:
        raise EpochmarkError(f"{file} cannot be written: {error.strerror or error}") from error
    return count


def _packing(stream: BinaryIO) -> gzip.GzipFile:
    return gzip.GzipFile(fileobj=stream, mode="wb", compresslevel=6, filename="", mtime=0)
