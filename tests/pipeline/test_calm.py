"""A disturbed machine is noticed: watched for real, and judged on hand-made samples."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from epochmark.bench.watching import preflight
from epochmark.cli import app
from epochmark.hardware.counters import open_counters
from epochmark.judge.disturbances import disturbances
from epochmark.judge.reading import decode_record
from epochmark.judge.validity import judge
from epochmark.records.record import Calm, Lap, Record, WatchingCost
from epochmark.records.store import FOLDER_VARIABLE
from epochmark.records.upgrades import encode_record
from tests.pipeline.conftest import MeasureFake
from tests.pipeline.program import SMALL_BATCH, Program

SECONDS = 60
QUIET = Calm(
    source="/proc",
    cpus=2,
    end_s=[float(second) for second in range(1, SECONDS + 1)],
    foreign_cpu_s=[0.01] * SECONDS,
    own_cpu_s=[1.9] * SECONDS,
    idle_cpu_s=[0.08] * SECONDS,
    steal_cpu_s=[0.01] * SECONDS,
    memory_stall_s=[0.0] * SECONDS,
    swap_in_bytes=None,
    quota_throttled_s=None,
    suspended_s=[0.0] * SECONDS,
    runnable=[2.0] * SECONDS,
    worker_cpu_s=112.0,
    involuntary_switches=600,
    cost=WatchingCost(sampler_cpu_s=0.03, parent_cpu_s=0.1, reporting_cpu_s=0.01),
)


@pytest.fixture
def record(correct: Record) -> Record:
    """A correct run without samples, as if it had taken a minute."""
    return with_epochs(correct, [SECONDS / 10] * 10)


def codes(record: Record, **seen: Any) -> list[str]:
    """What is found when these columns (a figure for every second) depart from a quiet run."""
    columns = {
        name: [float(value)] * SECONDS
        if isinstance(value, (int, float)) and name != "worker_cpu_s"
        else value
        for name, value in seen.items()
    }
    cpus = 8 if columns.get("idle_cpu_s") == [5.0] * SECONDS else QUIET.cpus
    calm = msgspec.structs.replace(QUIET, cpus=cpus, **columns)
    return [finding.code for finding in judge(watched(record, calm))]


def watched(record: Record, calm: Calm) -> Record:
    """The record as of a machine with those CPUs, which saw that."""
    machine = msgspec.structs.replace(
        record.machine, usable_cores=calm.cpus, physical_cores=calm.cpus
    )
    return msgspec.structs.replace(record, calm=calm, machine=machine)


def test_a_real_run_is_watched(measure_fake: MeasureFake) -> None:
    """Whether this machine is calm now is not for a test to say; that it was watched is."""
    record = measure_fake({"step_s": 0.01}, max_steps=30, open_counters=open_counters).record
    calm = record.calm
    assert calm is not None
    assert record.timing.fit_ns is not None
    assert calm.end_s[-1] == pytest.approx(record.timing.fit_ns / 1e9, abs=5.0)
    assert calm.own_cpu_s is not None
    assert calm.foreign_cpu_s is not None, "this machine counts processor time"
    assert len(calm.foreign_cpu_s) == len(calm.own_cpu_s) == len(calm.end_s)
    assert calm.worker_cpu_s is not None
    assert calm.cost.parent_cpu_s > 0
    assert decode_record(encode_record(record)).calm == calm


def test_the_command_watches_the_runs_of_real_engines(program: Program) -> None:
    """As many steps as take several of the kernel's ticks on any processor."""
    done = program.run("run", "native", "--steps", "200", "--threads", "1", *SMALL_BATCH)
    assert done.returncode == 0, done.stderr
    (record,) = program.records()
    assert record["calm"]["worker_cpu_s"] > 0
    assert sum(record["calm"]["own_cpu_s"]) > 0


@pytest.mark.parametrize("options", [(), ("--anyway",)])
def test_each_of_several_runs_is_looked_at(
    options: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """On a machine that is always busy; the first is waited for, and none with ``--anyway``."""
    monkeypatch.setattr(preflight, "look", lambda *_: preflight.Busy(0.9, 2, None))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    command = ["run", "--repeat", "3", "--steps", "1", "--threads", "1", *SMALL_BATCH, "--json"]
    app([*command, *options], standalone_mode=False)
    out, err = capsys.readouterr()
    assert len(json.loads(out)) == 3
    looks = 0 if options else 3
    assert err.count("other programs use 0.9 of 2 CPUs") == looks
    assert err.count("will probably be marked as disturbed") == looks
    assert err.count("Waiting up to") == min(looks, 1)


def test_a_quiet_machine_disturbs_nothing(record: Record) -> None:
    assert codes(record) == []


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ({"foreign_cpu_s": 0.9, "own_cpu_s": 1.05, "worker_cpu_s": 60.0}, ["foreign-load"]),
        ({"foreign_cpu_s": 0.03}, ["foreign-load"]),
        ({"foreign_cpu_s": 0.015}, []),
        # eight CPUs, of which two train and five idle: a third of one is no matter, all of one is
        ({"foreign_cpu_s": 0.3, "idle_cpu_s": 5.0}, []),
        ({"foreign_cpu_s": 0.9, "idle_cpu_s": 5.0}, ["foreign-load"]),
        (
            {
                "foreign_cpu_s": [1.0] + [0.0] * (SECONDS - 1),
                "own_cpu_s": [0.95] + [1.9] * (SECONDS - 1),
                "worker_cpu_s": 110.0,
            },
            [],
        ),
        ({"foreign_cpu_s": -0.01}, []),
        # not known is not calm: no counters, and what version 0.1.0 recorded in gVisor
        ({"foreign_cpu_s": None, "idle_cpu_s": None, "steal_cpu_s": None}, ["unwatched"]),
        (
            {"foreign_cpu_s": -0.4, "own_cpu_s": 0.4, "steal_cpu_s": 0.0, "worker_cpu_s": 20.0},
            ["unwatched"],
        ),
        (
            {"foreign_cpu_s": None, "own_cpu_s": None, "quota_throttled_s": 0.4},
            ["unwatched", "quota-throttled"],
        ),
        ({"steal_cpu_s": 0.2}, ["steal-time"]),
        ({"steal_cpu_s": None}, []),
        ({"memory_stall_s": 0.05}, ["memory-pressure"]),
        ({"memory_stall_s": None, "swap_in_bytes": 4 << 20}, ["memory-pressure"]),
        ({"memory_stall_s": None, "swap_in_bytes": 4 << 10}, []),
        ({"quota_throttled_s": 0.4}, ["quota-throttled"]),
        ({"suspended_s": [0.0] * (SECONDS - 1) + [900.0]}, ["suspended"]),
    ],
)
def test_disturbances_are_found(record: Record, seen: dict[str, Any], expected: list[str]) -> None:
    assert codes(record, **seen) == expected


def test_a_disturbed_run_is_not_ranked(record: Record) -> None:
    loud = msgspec.structs.replace(
        QUIET, foreign_cpu_s=[0.9] * SECONDS, own_cpu_s=[1.05] * SECONDS, worker_cpu_s=60.0
    )
    loud_record = watched(record, loud)
    judged = msgspec.structs.replace(loud_record, findings=judge(loud_record))
    assert decode_record(encode_record(judged)).headline.validity == "disturbed"


def with_epochs(record: Record, seconds: list[float]) -> Record:
    """The record with epochs that lasted so long."""
    ends = [sum(seconds[: index + 1]) for index in range(len(seconds))]
    laps = [
        Lap(epoch=number, steps=469, end_ns=round(end * 1e9))
        for number, end in enumerate(ends, start=1)
    ]
    timing = msgspec.structs.replace(
        record.timing, laps=laps, fit_ns=laps[-1].end_ns, trained_ns=None, launcher=None
    )
    return msgspec.structs.replace(record, timing=timing)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([9.0, 5.0, 5.1, 4.9, 5.0, 5.1, 5.0, 4.9, 5.1, 5.0], []),
        # one epoch with a hiccup: the median does not mind
        ([9.0, 5.0, 5.1, 4.9, 8.0, 5.1, 5.0, 4.9, 5.1, 5.0], []),
        # a fan-less laptop
        ([5.0, 5.0, 5.1, 5.3, 5.5, 5.8, 6.0, 6.2, 6.3, 6.4], ["drifting", "unsteady"]),
        ([5.0, 5.2, 4.8, 7.0, 5.0, 3.5, 6.5, 4.0, 6.0, 5.0], ["unsteady"]),
        # five epochs of warm-up leave too few
        ([9.0, 8.5, 8.0, 8.2, 8.1, 5.1, 5.0, 4.9, 5.1, 5.0], ["few-laps"]),
        # too short to say
        ([0.1, 0.2, 0.1, 0.05, 0.3, 0.1, 0.2, 0.1, 0.1, 0.2], []),
    ],
)
def test_laps_show_what_counters_do_not(
    record: Record, seconds: list[float], expected: list[str]
) -> None:
    found = disturbances(with_epochs(record, seconds))
    assert [finding.code for finding in found] == expected
