"""``--repeat``: fresh workers, and the spread within and between runs."""

from __future__ import annotations

import json

import msgspec
import pytest

from epochmark.analysis.timing.headline import headline_of
from epochmark.records.record import Lap, Record
from epochmark.report.text.spread import spread_lines
from tests.pipeline.conftest import MeasureFake
from tests.pipeline.program import Program


def lasting(record: Record, epoch_s: float) -> Record:
    """The record with ten epochs of this length and 1 % of noise."""
    ends = [epoch_s * (number + 0.01 * (number % 2)) for number in range(1, 11)]
    laps = [
        Lap(epoch=number, steps=469, end_ns=round(end * 1e9)) for number, end in enumerate(ends, 1)
    ]
    timing = msgspec.structs.replace(record.timing, laps=laps)
    timed = msgspec.structs.replace(record, timing=timing, findings=[])
    return msgspec.structs.replace(timed, headline=headline_of(timed))


def test_each_repeat_is_a_run_of_its_own(program: Program) -> None:
    done = program.run("run", "fake", "--repeat", "3", "--json")
    assert done.returncode == 0, done.stderr
    records = json.loads(done.stdout)
    assert len({record["id"] for record in records}) == 3
    assert len(program.records()) == 3
    assert "fake on cpu: " in program.run("run", "fake", "--repeat", "2").stdout


@pytest.mark.parametrize("count", ["0", "101", "many"])
def test_an_impossible_number_of_repeats_is_refused(program: Program, count: str) -> None:
    assert program.here("run", "fake", "--repeat", count).returncode == 2


def test_spread_within_and_between_runs_stand_apart(correct: Record) -> None:
    (line,) = spread_lines([lasting(correct, seconds) for seconds in (5.0, 5.2, 4.8)])
    # epochs take 5.05 and 4.95 s in turn; the first counts as warm-up
    assert line == (
        "fake on cpu: 4.95 s per epoch, median of 3 runs (within a run ±1.0%, between runs ±4.0%)"
    )


def test_only_valid_runs_count(measure_fake: MeasureFake, correct: Record) -> None:
    good, bad = lasting(correct, 5.0), measure_fake({"loss": "nan"}).record
    assert "no spread between runs, since 1 of 2 are valid" in spread_lines([good, bad])[0]
    assert "1 not valid and left out" in spread_lines([good, good, bad])[0]
    assert spread_lines([good]) == []
