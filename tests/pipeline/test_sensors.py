"""Sensors beside a real worker process; settling; a machine with one core."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence

import pytest

from epochmark.analysis.timing import settling
from epochmark.hardware.sensors import Channel, Sensor, all_sensors
from epochmark.judge.reading import decode_record
from epochmark.records.upgrades import encode_record
from tests.pipeline.conftest import MeasureFake
from tests.pipeline.program import SMALL_BATCH, Program

SLOW = {"step_s": 0.001}


class Thermometer(Sensor):
    """Reads what its script says."""

    source = "a script"
    channels = (Channel("temperature", "CPU"),)
    interval_s = 0.05

    def __init__(self, celsius: float) -> None:
        self._celsius = celsius

    def read(self) -> Sequence[float | None]:
        return [self._celsius]


class Silent(Thermometer):
    """Never answers while the run lasts."""

    let_go = threading.Event()

    def read(self) -> Sequence[float | None]:
        self.let_go.wait(60)
        return [1.0]


class Broken(Thermometer):
    def read(self) -> Sequence[float | None]:
        raise OSError(19, "No such device")


def test_sensors_that_stall_raise_or_lie_do_not_touch_the_run(measure_fake: MeasureFake) -> None:
    measured = measure_fake(
        SLOW,
        epochs=2,
        sensors={
            "good": lambda worker: Thermometer(51.5),
            "silent": lambda worker: Silent(0.0),
            "broken": lambda worker: Broken(0.0),
            "lying": lambda worker: Thermometer(-128.0),
            "absent": lambda worker: Sensor(),
        },
    )
    Silent.let_go.set()
    record = measured.record
    assert record.outcome == "completed"
    assert record.sensors is not None
    logs = {log.sensor: log for log in record.sensors}
    assert set(logs["good"].columns[0].values) == {51.5}
    assert logs["good"].at_s
    assert logs["good"].at_s[-1] <= (record.timing.fit_ns or 0) / 1e9 + 1
    assert logs["good"].problems == []
    assert "No such device" in logs["broken"].problems[0]
    assert "impossible values" in logs["lying"].problems[0]
    assert set(logs["lying"].columns[0].values) == {None}
    assert "absent" not in logs
    assert decode_record(encode_record(record)) == record


def test_a_run_with_the_sensors_of_this_machine(measure_fake: MeasureFake) -> None:
    """Whether there are any is not for a test to say; that they were asked is."""
    record = measure_fake(SLOW, max_steps=200, sensors=all_sensors()).record
    assert record.sensors is not None
    assert decode_record(encode_record(record)).sensors == record.sensors


def test_a_failed_run_keeps_what_its_sensors_said(measure_fake: MeasureFake) -> None:
    script = {**SLOW, "fail_in": "fit", "fail_at_step": 400}
    record = measure_fake(script, sensors={"good": lambda worker: Thermometer(51.5)}).record
    assert record.outcome == "failed"
    assert record.sensors is not None
    assert record.sensors[0].columns[0].values[0] == 51.5


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_a_run_that_settles_ends_by_itself(
    measure_fake: MeasureFake, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """The rule with seconds for minutes; how much speed changes is left open on a busy machine, and
    epochs are so short that it has many of them in a window as well."""
    for name, value in {"WINDOW_S": 3.0, "MIN_S": 3.5, "BURST_S": 0.5, "SPEED_CHANGE": 9.0}.items():
        monkeypatch.setattr(settling, name, value)
    monkeypatch.setattr("epochmark.bench.settle.LOOK_INTERVAL_S", 0.1)
    record = measure_fake({"step_s": 0.0002}, settle=True, device=device).record
    assert record.outcome == "completed"
    assert record.workload.variant == ["settle"]
    assert 3.5e9 <= record.timing.laps[-1].end_ns < 60e9
    assert record.headline.elapsed_s is None
    assert record.headline.steady_epoch_s is not None
    codes = {finding.code for finding in record.findings}
    assert codes <= {"unsteady", "drifting"}


def test_the_command_settles_and_says_when_it_could_not(program: Program) -> None:
    """A thousand epochs of the fake engine take a second: no machine settles in that."""
    done = program.run("run", "fake", "--settle")
    assert done.returncode == 0, done.stderr
    assert "settling" in done.stdout
    assert "unsettled" in done.stdout
    assert "settling, at most" in done.stderr
    (record,) = program.records()
    assert record["workload"]["settle"] is True
    assert record["workload"]["variant"] == ["settle"]
    refused = program.here("run", "fake", "--settle", "--quick")
    assert refused.returncode == 2
    assert "--settle stops by itself" in refused.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="binds the command to a core as Linux does")
def test_a_machine_with_one_core(program: Program) -> None:
    core = min(os.sched_getaffinity(0))
    done = program.run(
        *("run", "native", "--steps", "2", *SMALL_BATCH),
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )
    assert done.returncode == 0, done.stderr
    (record,) = program.records()
    assert record["machine"]["usable_cores"] == 1
    assert record["calm"]["cpus"] == 1
    assert record["engine"]["settings"]["threads"] == "1"
    assert record["sensors"] is not None
