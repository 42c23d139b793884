"""Carry out the runs of a command, one at a time: measure, save and print each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from epochmark.cli._answers import print_answer
from epochmark.cli._console import remark
from epochmark.cli._guard import complain
from epochmark.cli._tuning import find_settings
from epochmark.errors import EpochmarkError

if TYPE_CHECKING:
    from epochmark.bench.plan import LeftOut, Plan, PlannedRun
    from epochmark.bench.session import Measured
    from epochmark.bench.tuned.search import TunedSearch
    from epochmark.judge.results import ResultFiles
    from epochmark.records.machine.tuned_settings import Tuned
    from epochmark.records.record import Record

NOTHING_KEPT = "No record is kept: the run ended before an epoch or six laps were done."


@dataclass(frozen=True)
class RunsSetup:
    """What all runs of a command have in common; no ``files``: nothing is saved;
    ``alone``: there is one run only."""

    search: TunedSearch
    files: ResultFiles | None
    quiet: bool
    anyway: bool
    alone: bool


@dataclass
class RunsDone:
    """What came of a command's runs; one that was interrupted too soon to say anything has no
    record."""

    tuned: list[Tuned]
    left_out: list[LeftOut]
    records: list[Record] = field(default_factory=list)
    interrupted: bool = False


def measure(plan: Plan, setup: RunsSetup) -> RunsDone:
    """Carry out the runs, one at a time, while ``measuring_alone``; one that cannot be run does not
    stop the others. Before the first, the settings of tuned ones are found."""
    from epochmark.bench.process.interrupts import interrupts_later
    from epochmark.cli._calm import await_calm

    needed = [planned.request.run_cpus for planned in plan.runs if planned.request.is_real]
    if needed and not setup.anyway:
        await_calm(max(needed))
    runs, unsearched, tuned = find_settings(plan, setup.search, not setup.quiet)
    done = RunsDone(tuned, [*plan.left_out, *unsearched])
    for number, planned in enumerate(runs, start=1):
        with interrupts_later():
            _take_turn(planned, setup, (number, len(runs)), done)
        if done.interrupted:
            break
    return done


def _take_turn(
    planned: PlannedRun, setup: RunsSetup, position: tuple[int, int], done: RunsDone
) -> None:
    """Carry out one of the runs, save and print it, and add it to what is ``done``."""
    from epochmark.bench.plan import LeftOut

    try:
        measured = _run_one(planned, setup, position)
    except EpochmarkError as error:
        if setup.alone:
            raise
        request = planned.request
        done.left_out.append(LeftOut(request.engine, request.device, str(error)))
        return
    done.interrupted = measured.interrupted
    if not measured.is_worth_keeping:
        assert measured.record.failure is not None
        complain(f"{measured.record.failure.message}\n{NOTHING_KEPT}")
        return
    done.records.append(measured.record)
    saved = None if setup.files is None else _save(measured, setup.files)
    if not setup.quiet:
        print_answer(measured, saved, setup.files, short=not setup.alone)


def _run_one(planned: PlannedRun, setup: RunsSetup, position: tuple[int, int]) -> Measured:
    from epochmark.bench.process.temporary import temporary_root
    from epochmark.bench.watching.memory import check_memory, memory_remark
    from epochmark.bench.watching.space import check_space
    from epochmark.cli._calm import tell_busy
    from epochmark.cli._progress import RunProgress

    request = planned.request
    check_memory(request)
    check_space(request, temporary_root())
    needed = memory_remark(request)
    if needed is not None and request.is_real:
        remark(needed)
    if position[0] > 1 and request.is_real and not setup.anyway:
        tell_busy(request.run_cpus)
    with RunProgress(request, position) as progress:
        return setup.search.bench.measure(planned, progress.on_report)


def _save(measured: Measured, files: ResultFiles) -> Path:
    """Save the record; where its folder fails now, in the folder for temporary files.

    Raises ``EpochmarkError`` with the record itself when that fails as well: it is never lost.
    """
    from epochmark.bench.process.temporary import temporary_root
    from epochmark.judge.results import ResultFiles
    from epochmark.records.upgrades import encode_record

    try:
        return files.save(measured.record, measured.stderr)
    except EpochmarkError as error:
        complain(error)
    try:
        return ResultFiles(temporary_root()).save(measured.record, measured.stderr)
    except EpochmarkError as error:
        document = encode_record(measured.record).decode()
        raise EpochmarkError(f"{error}\nThis is the record:\n{document}") from error
