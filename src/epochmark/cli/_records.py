"""The records a command is about: the user's own, or those named, or those of bundles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, NamedTuple

import typer

from epochmark.cli._completion import complete_result, complete_run, complete_workload

if TYPE_CHECKING:
    from epochmark.records.documents.race import Race
    from epochmark.records.documents.scaling import Scaling
    from epochmark.records.record import Record

RunsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="RUN",
        help="Only these: an engine (its newest run here), or the id of a record or race. "
        "Default: all.",
        show_default=False,
        autocompletion=complete_result,
    ),
]
RunArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="An engine (its newest run here), or a record's id, which may be shortened.",
        autocompletion=complete_run,
    ),
]
ResultArgument = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        help="An engine (its newest run here), or the id of a record or race, which may be "
        "shortened.",
        autocompletion=complete_result,
    ),
]
WorkloadOption = Annotated[
    str | None,
    typer.Option(
        "--workload",
        "-w",
        metavar="NAME",
        help="Only runs of this workload.",
        show_default=False,
        autocompletion=complete_workload,
    ),
]
WithOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        metavar="FILE",
        help="Also the records in this bundle or record file; may be given several times.",
        show_default=False,
    ),
]

STANDARD_INPUT = "-"


def chosen_records(
    named: Sequence[str] | None,
    bundles: Sequence[Path] | None = None,
    workload: str | None = None,
) -> list[Record]:
    """The user's records, or those named, and those in the bundles, each once; with a ``workload``
    only its runs.

    Raises ``EpochmarkError`` for a name that is none, and for a file that is no bundle.
    """
    return _with_bundles(_own_records(named), bundles, workload)


class Chosen(NamedTuple):
    """What a command is about, each oldest first."""

    records: list[Record]
    races: list[Race]
    scalings: list[Scaling]


def chosen_results(
    named: Sequence[str] | None,
    bundles: Sequence[Path] | None = None,
    workload: str | None = None,
) -> Chosen:
    """The same, and the user's races and scalings, or those named. Where only such are named, the
    records are those of the bundles."""
    races, scalings, others = _split_documents(named)
    records = _own_records(others) if others or not named else []
    return Chosen(_with_bundles(records, bundles, workload), races, scalings)


def _own_records(named: Sequence[str] | None) -> list[Record]:
    from epochmark.api.naming import stored_run
    from epochmark.api.reading import load_results

    return [stored_run(name).record for name in named] if named else load_results()


def _with_bundles(
    records: Sequence[Record], bundles: Sequence[Path] | None, workload: str | None
) -> list[Record]:
    from epochmark.api.reading import records_of_file

    found = [*records, *(record for file in bundles or [] for record in records_of_file(file))]
    found = list({record.id: record for record in reversed(found)}.values())[::-1]
    return [record for record in found if workload is None or record.workload.name == workload]


def _split_documents(
    named: Sequence[str] | None,
) -> tuple[list[Race], list[Scaling], list[str]]:
    """The user's races and scalings among those named, or all of them, and the other names."""
    from epochmark.api.naming import stored_document
    from epochmark.judge.documents.races import RaceFiles
    from epochmark.judge.documents.scalings import ScalingFiles
    from epochmark.records.documents.race import Race
    from epochmark.records.documents.scaling import Scaling

    if not named:
        races = [stored.document for stored in RaceFiles.of_user().load()[0]]
        return races, [stored.document for stored in ScalingFiles.of_user().load()[0]], []
    stored = {name: stored_document(name) for name in named}
    found = [each.document for each in stored.values() if each is not None]
    return (
        [document for document in found if isinstance(document, Race)],
        [document for document in found if isinstance(document, Scaling)],
        [name for name, each in stored.items() if each is None],
    )


def counted_documents(documents: Sequence[object]) -> str:
    """``2 records and 1 race``."""
    from epochmark.records.documents.race import Race
    from epochmark.records.documents.scaling import Scaling
    from epochmark.records.wording import counted

    races = sum(isinstance(stored, Race) for stored in documents)
    scalings = sum(isinstance(stored, Scaling) for stored in documents)
    records = len(documents) - races - scalings
    kinds = ((records, "record"), (races, "race"), (scalings, "scaling"))
    return " and ".join(counted(count, noun) for count, noun in kinds if count) or "0 records"


def opened(named: str) -> Path | BinaryIO:
    """The file of that name, or standard input for ``-``."""
    import sys

    from epochmark.errors import EpochmarkError

    if named != STANDARD_INPUT:
        return Path(named)
    if sys.stdin is None:
        raise EpochmarkError("standard input is closed", exit_code=2)
    return sys.stdin.buffer
