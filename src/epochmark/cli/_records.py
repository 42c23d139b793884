"""The records a command is about: the user's own, or those named, or those of bundles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._completion import complete_id, complete_workload

if TYPE_CHECKING:
    from epochmark.records.machine.machine_limits import Limits
    from epochmark.records.record import Machine, Record

IdsArgument = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="ID",
        help="Only these records. Default: all.",
        show_default=False,
        autocompletion=complete_id,
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


def chosen_records(
    ids: Sequence[str] | None,
    bundles: Sequence[Path] | None = None,
    workload: str | None = None,
) -> list[Record]:
    """The user's records, or those with these ids, and those in the bundles, each once; with a
    ``workload`` only its runs.

    Raises ``EpochmarkError`` for an id that is none, and for a file that is no bundle.
    """
    from epochmark.cli._tables import warn_unreadable
    from epochmark.judge.results import ResultFiles

    files = ResultFiles.of_user()
    if ids:
        records = [files.find(start).record for start in ids]
    else:
        stored, unreadable = files.load()
        warn_unreadable(unreadable)
        records = [one.record for one in stored]
    for bundle in bundles or []:
        records += _told(bundle)
    records = list({record.id: record for record in reversed(records)}.values())[::-1]
    return of_workload(records, workload)


def of_workload(records: Sequence[Record], name: str | None) -> list[Record]:
    """Those of this workload, known here or not; all of them without one."""
    return [one for one in records if name is None or one.workload.name == name]


def recorded_run(named: str, records: Sequence[Record]) -> Record:
    """What the user named: a file, an engine (the newest of its ``records``, this machine's before
    others), or a record's id.

    Raises ``EpochmarkError`` (exit code 2) when there is no such run.
    """
    from epochmark.engines import engine_names
    from epochmark.errors import EpochmarkError
    from epochmark.hardware.machine import describe_machine, machine_id
    from epochmark.judge.results import ResultFiles
    from epochmark.records.dates import age_order
    from epochmark.report.subject import measured_here

    files = ResultFiles.of_user()
    if named.endswith(".json"):
        return record_of_file(Path(named))
    if named not in engine_names():
        return files.find(named).record
    of_engine = [record for record in records if record.engine.name == named]
    if not of_engine:
        raise EpochmarkError(
            f"there is no run of {named} in {files.folder}; 'epochmark run {named}' makes one",
            exit_code=2,
        )
    here = measured_here(of_engine, describe_machine(machine_id(files.folder)))
    return max(here, key=age_order)


def record_of_file(file: Path) -> Record:
    """The record in a file of one, which may be a bundle. Raises ``EpochmarkError``."""
    from epochmark.errors import EpochmarkError

    records = [] if file.is_dir() else _told(file)
    if len(records) != 1:
        ids = ", ".join(record.id[:8] for record in records[:5])
        raise EpochmarkError(
            f"{file} holds {len(records)} records, not one"
            + (f" ({ids}, ...); 'epochmark results import' takes them among yours" if ids else ""),
            exit_code=2,
        )
    return records[0]


def record_of_bundles(id_start: str, bundles: Sequence[Path]) -> Record | None:
    """The one record in these files whose id begins so, None without any. Raises
    ``EpochmarkError`` for several."""
    from epochmark.errors import EpochmarkError

    records = {record.id: record for bundle in bundles for record in _told(bundle)}
    matches = [id_ for id_ in sorted(records) if id_start and id_.startswith(id_start)]
    if len(matches) > 1:
        raise EpochmarkError(
            f"{len(matches)} records have an id that begins with {id_start!r}: "
            f"{', '.join(matches[:5])}; give more of it",
            exit_code=2,
        )
    return records[matches[0]] if matches else None


def _told(file: Path) -> list[Record]:
    """The records of a file, and on standard error what is left out of it."""
    from epochmark.api import readable_records
    from epochmark.cli._console import remark

    records, troubles = readable_records(file)
    remark(*(f"epochmark: {trouble}" for trouble in troubles))
    return records


def newest_run(records: Sequence[Record]) -> Record:
    """The newest of the user's ``records``. Raises ``EpochmarkError`` when there is none."""
    from epochmark.errors import EpochmarkError
    from epochmark.judge.results import ResultFiles
    from epochmark.records.dates import age_order

    if not records:
        folder = ResultFiles.of_user().folder
        raise EpochmarkError(
            f"no results yet in {folder}: 'epochmark run' makes the first", exit_code=2
        )
    return max(records, key=age_order)


def known_limits(machine: Machine | None = None) -> Limits | None:
    """The stored limits, with ``machine`` only its own; a file that cannot be read is told of and
    left out."""
    from epochmark.cli._guard import complain
    from epochmark.errors import EpochmarkError
    from epochmark.judge.results import ResultFiles
    from epochmark.records.machine.machine_limits import read_limits

    try:
        return read_limits(ResultFiles.of_user().folder, machine)
    except EpochmarkError as error:
        complain(error)
        return None
