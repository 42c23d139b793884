"""Turns as laps have them, the clock that leaves parked time out, and what a race is asked."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from epochmark.analysis.racing.pieces import Pieces, first_part_of, turns_of
from epochmark.bench.process.messages import MessageError, ReportReader
from epochmark.bench.process.order import RUN, RaceOrder
from epochmark.bench.process.worker_process import WorkerProcess
from epochmark.bench.racing.entries import Entry, parse_entry
from epochmark.bench.turns.guard import Guard
from epochmark.bench.turns.memory import check_room
from epochmark.engines import get_engine
from epochmark.environments.managed import Environments
from epochmark.environments.manifest import MANIFEST, Manifest, encode_manifest
from epochmark.environments.requirements import Platform, environment_name
from epochmark.environments.versions import row_of_version, versions_made
from epochmark.errors import EpochmarkError
from epochmark.worker.protocol import (
    EpochEnd,
    Hello,
    LapEnd,
    Message,
    MessagePipe,
    Opened,
    Parked,
    Phase,
)
from epochmark.worker.stopwatch import TurnStopwatch, Word


@dataclass(frozen=True)
class Lap:
    epoch: int
    steps: int
    end_ns: int


def test_the_smaller_last_batch_counts_truly() -> None:
    """Of ten samples in batches of four: two steps of four, one of two."""
    pieces = Pieces(batch=4, epoch=10)
    pieces.warm_up([Lap(1, 1, 10**9)])
    pieces.turn([Lap(1, 1, 2 * 10**9), Lap(1, 1, 3 * 10**9), Lap(2, 2, 5 * 10**9)])
    (piece,) = pieces.turns
    assert (piece.start_s, piece.first_samples, piece.first_s) == (1.0, 4, 1.0)
    assert (piece.rest_samples, piece.rest_s) == (2 + 8, 3.0)


@pytest.mark.parametrize(("excess", "samples"), [(1.2, 90), (1.0, 100)])
def test_the_first_part_is_left_out_where_it_shows(excess: float, samples: int) -> None:
    pieces = Pieces(batch=1, epoch=10**6)
    end_ns = 0
    for _ in range(6):
        first_ns, rest_ns = int(excess * 10 * 10**6), 90 * 10**6
        laps = [Lap(1, 10, end_ns + first_ns), Lap(1, 90, end_ns + first_ns + rest_ns)]
        pieces.turn(laps)
        end_ns += first_ns + rest_ns
    assert first_part_of(pieces.turns) == pytest.approx(excess)
    turns = turns_of([pieces.turns, pieces.turns])
    assert [turn.entry for turn in turns] == [0, 1] * 6
    assert {turn.samples for turn in turns} == {samples}


def test_the_clock_leaves_parked_time_out() -> None:
    """Two steps, each an epoch, are warm-up; the next one is the first of a turn."""
    read, write = os.pipe()
    word = Word()
    stopwatch = TurnStopwatch(MessagePipe(write), 1, word)
    stopwatch.start()
    resume = threading.Timer(0.5, word.go_on.set)
    resume.start()
    assert stopwatch.epoch(1, 0.5, 0.5)
    assert stopwatch.epoch(1, 0.5, 0.5)  # parked meanwhile
    resume.join()
    word.stop.set()
    assert not stopwatch.epoch(1, 0.5, 0.5)
    os.close(write)
    with os.fdopen(read, "rb") as stream:
        reports = list(ReportReader().feed(stream.read()))
    kinds = [type(report) for report in reports]
    assert kinds == [LapEnd, EpochEnd, LapEnd, EpochEnd, Parked, LapEnd, EpochEnd]
    ends_ns = [report.end_ns for report in reports if isinstance(report, LapEnd)]
    assert ends_ns[2] - ends_ns[0] < 0.5e9


def test_a_parked_entry_says_nothing_and_parks_again_after_a_lap() -> None:
    order = RaceOrder(2, 10)
    with pytest.raises(MessageError, match="outside the training"):
        order.take(Parked(), 1.0)
    start: dict[str, Message] = {"Hello": Hello("3.11", {}), "Opened": Opened("cpu", "")}
    for due in RUN[: RUN.index("training") + 1]:
        order.take(Phase(due) if isinstance(due, str) else start[due.__name__], 1.0)
    lap: Message = LapEnd(1, 1, 10, 0.5, 0.5)
    order.take(lap, 1.0)
    order.take(Parked(), 1.0)
    later = LapEnd(1, 1, 20, 0.5, 0.5)
    with pytest.raises(MessageError, match="while parked"):
        order.take(later, 1.0)
    order.take_turn()
    with pytest.raises(MessageError, match="without a lap"):
        order.take(Parked(), 1.0)
    order.take(later, 1.0)
    order.take(Parked(), 1.0)


def test_a_race_does_not_begin_without_its_guard() -> None:
    before = {process.pid for process in psutil.Process().children()}
    with Guard() as guard:
        (process,) = (p for p in psutil.Process().children() if p.pid not in before)
        process.kill()
        process.wait()
        with pytest.raises(EpochmarkError, match="guard"):
            guard.watch(process.pid)


def test_a_worker_that_was_ended_takes_nobody_with_it() -> None:
    """Its number is another's by then."""
    command = ("sleep", "60")
    ended, other = (subprocess.Popen(command, start_new_session=True) for _ in range(2))
    worker = WorkerProcess(ended, spawned_ns=0, report_end=-1, stderr_end=-1, exited=-1)
    try:
        assert worker.end(at_once=True) == -signal.SIGKILL
        ended.pid = other.pid
        assert worker.end(at_once=True) == -signal.SIGKILL
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.2)
    finally:
        other.kill()
        other.wait()


def test_entries_are_read_as_they_are_typed() -> None:
    python = "/usr/bin/env"
    assert parse_entry("torch") == Entry("torch", "torch")
    assert parse_entry("torch:tuned@2.12") == Entry("torch:tuned@2.12", "torch", True, "2.12")
    found = parse_entry(f"torch@{python}+threads=2")
    assert (found.where, found.threads, found.is_version) == (python, 2, False)
    assert found.shown == "torch@env+threads=2"
    assert parse_entry("torch@2.12.1").shown == "torch@2.12.1"


def test_an_interpreter_may_be_in_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "python").symlink_to("/usr/bin/env")
    monkeypatch.setenv("HOME", str(tmp_path))
    entry = parse_entry("torch@~/venv/python")
    assert (entry.where, entry.shown) == ("~/venv/python", "torch@python")
    with pytest.raises(EpochmarkError, match="nor an interpreter"):
        parse_entry("torch@~/nowhere/python")


def test_a_version_is_the_frameworks_own_row_with_that_version() -> None:
    row = row_of_version(get_engine("torch").info, "2.12")
    assert row.pip == ("torch==2.12.*",)
    keras = row_of_version(get_engine("keras-torch").info, "2.12")
    assert keras.pip[0] == "torch==2.12.*"
    assert keras.pip[1].startswith("keras")


def test_versions_are_asked_of_no_engine_without_packages_for_the_machine(tmp_path: Path) -> None:
    machine = Platform("Linux", "arm64", ("cpu",))
    torch, without = get_engine("torch").info, get_engine("plaidml-keras").info
    row = row_of_version(torch, "2.12", machine)
    manifest = Manifest(
        name=environment_name(row), requirements=row.pip, accelerators=row.accelerators,
        python="3.11.1", created="2026-11-26T00:00:00Z", epochmark_version="0", installed={},
        size_bytes=1,
    )  # fmt: skip
    folder = tmp_path / manifest.name
    folder.mkdir()
    (folder / MANIFEST).write_bytes(encode_manifest(manifest))
    environments = Environments(tmp_path)
    assert list(versions_made(environments, torch, machine)) == ["2.12"]
    assert versions_made(environments, without, machine) == {}


def test_what_does_not_fit_into_memory_is_refused_before_it_is_started() -> None:
    check_room("first", [])
    check_room("second", [1 << 20])
    with pytest.raises(EpochmarkError, match="does not fit into memory beside"):
        check_room("second", [1 << 60])
