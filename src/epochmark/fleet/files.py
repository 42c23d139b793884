"""The files of a fleet: records and bundles, limits, names. None is trusted; one that is broken is
named, and the others are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from epochmark.errors import EpochmarkError
from epochmark.fleet.runs import Run, run_of
from epochmark.judge.reading import decode_each
from epochmark.records.bundle import MAX_BUNDLE_BYTES, documents_in
from epochmark.records.documents.kinds import is_of_runs, kind_of
from epochmark.records.documents.scaling import Scaling
from epochmark.records.files import read_regular
from epochmark.records.json_text import RecordError
from epochmark.records.machine.limits_file import decode_limits
from epochmark.records.machine.machine_limits import Limits
from epochmark.records.record import Record
from epochmark.records.wording import counted

MAX_RUNS = 200_000
"""Of one report: three times what 10,000 nodes have in two rounds."""
MAX_NAMES_BYTES = 4 << 20
LONGEST_NAME = 255
"""Of a host, by DNS. A longer one is refused: cut, two would be one machine."""
MOST_TROUBLES = 3
"""Of one file: a hostile one may have thousands."""

Progress = Callable[[int, int], None]
"""Called with how many files are read, and of how many."""


@dataclass(frozen=True)
class FleetFiles:
    """All that could be read: runs by the order of files, limits of machines, and in sentences what
    was left out."""

    runs: list[Run] = field(default_factory=list)
    limits: list[Limits] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)


def read_fleet(files: Sequence[Path], on_file: Progress = lambda done, total: None) -> FleetFiles:
    """The records and limits in these files, and in the ``.json`` files of these folders.

    A record that several files hold is taken once. Raises ``EpochmarkError`` (exit code 2) where no
    file holds a record, or where there are more than ``MAX_RUNS``.
    """
    found = FleetFiles()
    paths = [path for named in files for path in _in_folder(named)]
    for number, path in enumerate(paths, start=1):
        _read_into(found, path)
        if len(found.runs) > MAX_RUNS:
            raise EpochmarkError(f"these files hold more than {MAX_RUNS:,} runs", exit_code=2)
        on_file(number, len(paths))
    if not found.runs:
        why = found.troubles[:MOST_TROUBLES] or ["no file was found"]
        raise EpochmarkError("\n".join(["no run could be read:", *why]), exit_code=2)
    return found


def _in_folder(path: Path) -> list[Path]:
    return sorted(path.glob("*.json")) if path.is_dir() else [path]


def _read_into(found: FleetFiles, path: Path) -> None:
    troubles: list[str] = []
    try:
        document = read_regular(path, MAX_BUNDLE_BYTES + 1)
        if not document.strip():
            raise RecordError("it is empty")
        limits = _limits_in(document)
        if limits is not None:
            found.limits.append(limits)
            return
        for read in _records_in(document):
            if isinstance(read, Record):
                found.runs.append(run_of(read, str(path)))
            else:
                troubles.append(f"{path}: {read}")
    except (OSError, ValueError, RecordError) as error:
        troubles.append(f"{path}: {getattr(error, 'strerror', None) or error}")
    found.troubles.extend(troubles[:MOST_TROUBLES])
    if len(troubles) > MOST_TROUBLES:
        more = counted(len(troubles) - MOST_TROUBLES, "more record")
        found.troubles.append(f"{path}: {more} that cannot be read")


def _limits_in(document: bytes) -> Limits | None:
    try:
        return decode_limits(document)
    except ValueError:
        return None


def _records_in(document: bytes) -> Iterator[Record | RecordError]:
    documents, whole = documents_in(document)
    if not whole:
        yield RecordError("it is not as it was written; the records in it that are sound are used")
    runs = [document for document in documents if is_of_runs(document)]
    others = len(runs) < len(documents)
    if others and any(kind_of(document) is Scaling for document in documents):
        yield RecordError(
            "it holds a scaling, which compares numbers of devices: no figure of a machine beside "
            "others; left out"
        )
    yield from decode_each(runs)


def read_names(file: Path) -> dict[str, str]:
    """Names of nodes by machine id: a line each, id and name with a space between; ``#`` begins a
    remark. Raises ``EpochmarkError`` (exit code 2) for what is none."""
    try:
        content = read_regular(file, MAX_NAMES_BYTES + 1)
        if len(content) > MAX_NAMES_BYTES:
            raise ValueError(f"it is larger than {MAX_NAMES_BYTES >> 20} MiB")
        lines = content.decode().splitlines()
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise EpochmarkError(f"the names {file} cannot be read: {why}", exit_code=2) from error
    names: dict[str, str] = {}
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].split(maxsplit=1)
        if len(words) == 1:
            raise EpochmarkError(
                f"{file}, line {number}: a machine id and a name are wanted, with a space between",
                exit_code=2,
            )
        if words:
            names[words[0]] = name = words[1].strip()
            if len(name) > LONGEST_NAME:
                raise EpochmarkError(
                    f"{file}, line {number}: the name has more than {LONGEST_NAME} characters",
                    exit_code=2,
                )
    return names
