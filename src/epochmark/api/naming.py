"""Find the run that a user means: by engine, by the beginning of its id, or by its file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from epochmark.api.reading import records_of_file
from epochmark.engines import all_infos, engine_names
from epochmark.errors import EpochmarkError, likeliest
from epochmark.judge.documents.files import Stored
from epochmark.judge.documents.races import RaceFiles
from epochmark.judge.documents.scalings import ScalingFiles
from epochmark.judge.results import ResultFiles, StoredRecord
from epochmark.records.dates import age_order
from epochmark.records.documents.race import Race
from epochmark.records.documents.scaling import Scaling
from epochmark.records.record import Record
from epochmark.report.subject import measured_here
from epochmark.workloads import DEFAULT_WORKLOAD

_ID = re.compile(r"[0-9a-f]+")


def run_called(
    named: str | Path | Record,
    bundles: Iterable[str | Path] = (),
    workload: str | None = None,
) -> Record:
    """A record itself, or the one that is meant: an engine's newest run here (of a ``workload``, or
    of any), that of a file, or the one whose id begins so, in the bundles first. Of a record in a
    bundle that is also the user's own, that one is taken, since it has the machine's id.

    Raises ``EpochmarkError`` (exit code 2) when there is no such run, or several.
    """
    if isinstance(named, Record):
        return named
    if is_file(named):
        return record_of_file(Path(named))
    name = str(named)
    exported = None if name in engine_names() else _record_of_bundles(name, bundles)
    if exported is None:
        return stored_run(name, workload).record
    own = {stored.record.id: stored.record for stored in ResultFiles.of_user().load()[0]}
    return own.get(exported.id, exported)


def is_file(named: str | Path) -> bool:
    """Whether a file is meant: ids and engines do not end in ``.json``."""
    return isinstance(named, Path) or named.endswith(".json")


def stored_run(named: str, workload: str | None = None) -> StoredRecord:
    """The user's own run: an engine's newest (of a ``workload``, or of any), this machine's before
    others, or the one whose id begins so. Raises ``EpochmarkError`` (exit code 2) when there is
    none, or several."""
    files = ResultFiles.of_user()
    if named not in engine_names():
        _refuse_misspelt(named)
        return files.find(named)
    stored = {run.record.id: run for run in files.load()[0] if _is_of(run.record, named, workload)}
    if not stored:
        what = named if workload in (None, DEFAULT_WORKLOAD) else f"{named} -w {workload}"
        raise EpochmarkError(
            f"there is no run of {named}{'' if what == named else f' with {workload}'} in "
            f"{files.folder}; 'epochmark run {what}' makes one",
            exit_code=2,
        )
    newest = _newest_here([run.record for run in stored.values()], files)
    return stored[newest.id]


def stored_document(named: str) -> Stored[Race] | Stored[Scaling] | None:
    """The user's race or scaling whose id begins so; None for what is none. Raises
    ``EpochmarkError`` (exit code 2) for several, and where a record's id begins so as well."""
    if named in engine_names():
        return None
    race, scaling = RaceFiles.of_user().find(named), ScalingFiles.of_user().find(named)
    found = race or scaling
    if found is None:
        return None
    ids = [stored.document.id for stored in (race, scaling) if stored is not None]
    records = ResultFiles.of_user().load()[0]
    ids += [run.record.id for run in records if run.record.id.startswith(named)]
    if len(ids) > 1:
        raise EpochmarkError(
            f"several results have an id that begins with {named!r}: {', '.join(ids[:5])}; type "
            "more of it",
            exit_code=2,
        )
    return found


def _refuse_misspelt(named: str) -> None:
    """Raise ``EpochmarkError`` (exit code 2) for what is like an engine, and cannot begin an id."""
    meant = likeliest(named, (info.name for info in all_infos() if not info.hidden))
    if meant is not None and not _ID.fullmatch(named):
        raise EpochmarkError(
            f"there is no engine {named!r} (did you mean {meant}?), and no result has an id that "
            "begins with it",
            exit_code=2,
        )


def newest_comparable_run(engine: str, workload: str) -> Record:
    """The newest valid run of a workload with an engine, else the newest disturbed one, else the
    newest, which says why it cannot be compared; this machine's before others. Raises
    ``EpochmarkError`` (exit code 2) when there is none at all."""
    files = ResultFiles.of_user()
    stored, _ = files.load()
    of_engine = [run.record for run in stored if _is_of(run.record, engine, workload)]
    for validity in ("valid", "disturbed"):
        usable = [record for record in of_engine if record.headline.validity == validity]
        if usable:
            return _newest_here(usable, files)
    return stored_run(engine, workload).record


def _is_of(record: Record, engine: str, workload: str | None) -> bool:
    return record.engine.name == engine and workload in (None, record.workload.name)


def _newest_here(records: Sequence[Record], files: ResultFiles) -> Record:
    from epochmark.hardware.machine import describe_machine, machine_id

    return max(measured_here(records, describe_machine(machine_id(files.folder))), key=age_order)


def newest_run(records: Sequence[Record]) -> Record:
    """The newest of the user's ``records``. Raises ``EpochmarkError`` when there is none."""
    if not records:
        folder = ResultFiles.of_user().folder
        raise EpochmarkError(
            f"no results yet in {folder}: 'epochmark run' makes the first", exit_code=2
        )
    return max(records, key=age_order)


def record_of_file(file: Path) -> Record:
    """The record in a file of one, which may be a bundle. Raises ``EpochmarkError``."""
    records = [] if file.is_dir() else records_of_file(file)
    if len(records) != 1:
        ids = ", ".join(record.id[:8] for record in records[:5])
        raise EpochmarkError(
            f"{file} holds {len(records)} records, not one"
            + (f" ({ids}, ...); 'epochmark results import' adds them to yours" if ids else ""),
            exit_code=2,
        )
    return records[0]


def _record_of_bundles(id_start: str, bundles: Iterable[str | Path]) -> Record | None:
    """The one record in these files whose id begins so, None without any. Raises
    ``EpochmarkError`` for several."""
    records = {record.id: record for bundle in bundles for record in records_of_file(Path(bundle))}
    matches = [id_ for id_ in sorted(records) if id_start and id_.startswith(id_start)]
    if len(matches) > 1:
        raise EpochmarkError(
            f"{len(matches)} records have an id that begins with {id_start!r}: "
            f"{', '.join(matches[:5])}; type more of it",
            exit_code=2,
        )
    return records[matches[0]] if matches else None
