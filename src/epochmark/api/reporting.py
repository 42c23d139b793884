"""Records on a page, and files that others may read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from epochmark.api.reading import known_limits
from epochmark.errors import EpochmarkError
from epochmark.judge.results import ResultFiles
from epochmark.records.documents.race import Race
from epochmark.records.documents.scaling import Scaling
from epochmark.records.files import write_atomically
from epochmark.records.record import Record

if TYPE_CHECKING:
    from epochmark.report.subject import Subject


def write_report(
    records: Sequence[Record],
    file: str | Path,
    *,
    races: Sequence[Race] = (),
    scalings: Sequence[Scaling] = (),
) -> None:
    """Write the HTML report about these records, beside the published machines, with charts of the
    newest of the ``races`` and ``scalings``.

    This machine is the one whose id is kept with the user's results, if it has this processor and
    is among them, else that of the newest record.
    """
    from epochmark.report.page import report_page

    write_file(Path(file), report_page(subject(records, races, scalings)).encode())


def subject(
    records: Sequence[Record], races: Sequence[Race] = (), scalings: Sequence[Scaling] = ()
) -> Subject:
    """What charts and reports of these documents are about."""
    from epochmark.analysis.comparing.references import load_references
    from epochmark.hardware.machine import describe_machine, machine_id
    from epochmark.report.subject import subject_of

    folder = ResultFiles.of_user().folder
    own = describe_machine(machine_id(folder)) if folder.is_dir() else None
    return subject_of(records, load_references(), own, known_limits(folder), races, scalings)


def write_file(file: Path, content: bytes) -> None:
    """Write a file that others may read, whole or not at all. What is no regular file, such as
    ``/dev/stdout``, is written to, and a link keeps leading to the file: the user named it. Beside
    the results, where names are ours, a link is replaced and leads nowhere."""
    try:
        if file.parent.resolve() == ResultFiles.of_user().folder.resolve():
            write_atomically(file, content, 0o666)
        elif file.exists() and not file.is_file() and not file.is_dir():
            file.write_bytes(content)
        else:
            write_atomically(file.resolve(), content, 0o666)
    except (OSError, RuntimeError) as error:
        why = getattr(error, "strerror", None) or error
        raise EpochmarkError(f"{file} cannot be written: {why}", exit_code=2) from error
