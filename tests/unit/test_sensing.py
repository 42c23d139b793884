"""Sensors that work, stall, raise, vanish and lie: each in its own thread, none waited for."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

import msgspec
import pytest

from epochmark.bench.watching import sensing
from epochmark.bench.watching.sensing import MAX_READINGS, Readings, Sensing
from epochmark.hardware.sensors import ABSENT, Channel, OpenSensor, Sensor, UnreadableError
from epochmark.records.record import SensorLog

Value = float | None
PATIENCE_S = 20.0


class Scripted(Sensor):
    """Reads what a script says, as fast as it can, then waits until it is let go."""

    source = "a script"
    interval_s = 0.0

    def __init__(self, rows: Sequence[Callable[[], Sequence[Value]]], *channels: Channel) -> None:
        self._rows = list(rows)
        self.channels = channels or (Channel("temperature", "CPU"),)
        self.exhausted, self.let_go, self.closed = (threading.Event() for _ in range(3))

    def read(self) -> Sequence[Value]:
        if self._rows:
            return self._rows.pop(0)()
        self.exhausted.set()
        self.let_go.wait(PATIENCE_S)
        return [50.0] * len(self.channels)

    def close(self) -> None:
        self.closed.set()


def rows(*values: Value) -> list[Callable[[], Sequence[Value]]]:
    return [lambda value=value: [value] for value in values]  # type: ignore[misc]


def failing(error: Exception) -> Callable[[], Sequence[Value]]:
    def fail() -> Sequence[Value]:
        raise error

    return fail


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is paced by what it costs."""
    monkeypatch.setattr(sensing, "CPU_SHARE", float("inf"))


def logs_of(*sensors: Scripted, **others: OpenSensor) -> list[SensorLog]:
    """What is logged once all scripts have come to their end and stall."""
    openers: dict[str, OpenSensor] = {
        f"scripted-{n}": lambda worker, sensor=sensor: sensor  # type: ignore[misc]
        for n, sensor in enumerate(sensors)
    }
    followed = Sensing({**openers, **others}, worker=1)
    followed.begin()
    for sensor in sensors:
        assert sensor.exhausted.wait(PATIENCE_S)
    followed.end()
    logs = followed.logs()
    for sensor in sensors:
        sensor.let_go.set()
        assert sensor.closed.wait(PATIENCE_S)
    assert followed.logs() == logs, "what comes after the end is not taken"
    return logs


def test_what_a_sensor_reads_is_kept_in_order_with_unit_and_scope() -> None:
    sensor = Scripted(rows(40.0, 41.0, 42.0))
    sensor.interval_s = 0.002  # readings of the same millisecond are one
    (log,) = logs_of(sensor)
    (column,) = log.columns
    assert (log.sensor, log.source) == ("scripted-0", "a script")
    assert (column.quantity, column.unit, column.scope) == ("temperature", "°C", "CPU")
    assert column.values == [40.0, 41.0, 42.0]
    assert log.at_s == sorted(set(log.at_s))
    assert log.problems == []


def test_nothing_is_read_before_the_clock_starts() -> None:
    sensor = Scripted([])
    followed = Sensing({"scripted": lambda worker: sensor}, worker=1)
    followed.end()
    assert sensor.closed.wait(PATIENCE_S)
    assert not sensor.exhausted.is_set()
    assert followed.logs() == []


def test_an_absent_sensor_leaves_no_trace() -> None:
    assert logs_of(absent=lambda worker: ABSENT) == []


def test_one_that_stalls_neither_holds_up_the_others_nor_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sensing, "STALL_S", 0.0)
    silent = Scripted([])
    followed = Sensing({"silent": lambda worker: silent}, worker=1)
    followed.begin()
    assert silent.exhausted.wait(PATIENCE_S)
    followed.end()
    (log,) = followed.logs()
    assert log.columns == []
    assert "had not answered" in log.problems[0]
    silent.let_go.set()


def test_one_that_is_never_done_with_opening_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensing, "STALL_S", 0.0)
    let_go = threading.Event()

    def open_slowly(worker: int) -> Sensor:
        let_go.wait(PATIENCE_S)
        return ABSENT

    followed = Sensing({"slow": open_slowly}, worker=1)
    followed.begin()
    followed.end()
    (log,) = followed.logs()
    let_go.set()
    assert "had not answered" in log.problems[0]


def test_an_answer_that_took_too_long_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensing, "STALL_S", -1.0)
    (log,) = logs_of(Scripted(rows(40.0)))
    assert log.columns == []
    assert any("took up to" in problem for problem in log.problems)


def test_one_that_vanishes_is_given_up_and_what_it_said_is_kept() -> None:
    gone = FileNotFoundError(2, "No such file or directory", "/sys/secret/path")
    sensor = Scripted([*rows(40.0), *[failing(gone)] * 3])
    followed = Sensing({"scripted": lambda worker: sensor}, worker=1)
    followed.begin()
    assert sensor.closed.wait(PATIENCE_S), "it is closed once it is given up"
    followed.end()
    (log,) = followed.logs()
    assert log.columns[0].values == [40.0]
    (problem,) = log.problems
    assert "given up" in problem
    assert "No such file" in problem
    assert "secret" not in problem


def test_one_that_fails_now_and_then_goes_on() -> None:
    hiccup = failing(RuntimeError("try again"))
    (log,) = logs_of(Scripted([hiccup, hiccup, *rows(40.0), hiccup, hiccup]))
    assert log.problems == []
    assert log.columns[0].values == [40.0]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (UnreadableError("only root may read it"), "only root may read it"),
        (OSError("/dev/secret"), "could not be opened: OSError"),
    ],
)
def test_one_that_cannot_be_opened_says_why(error: Exception, reason: str) -> None:
    closed = threading.Event()

    def refuse(worker: int) -> Sensor:
        closed.set()
        raise error

    followed = Sensing({"refused": refuse}, worker=1)
    assert closed.wait(PATIENCE_S)
    while not (logs := followed.logs()):
        pass  # the thread is about to say it
    assert reason in logs[0].problems[0]
    assert "secret" not in logs[0].problems[0]


def test_values_that_cannot_be_are_left_out_and_reported() -> None:
    readings = Readings((Channel("temperature", "CPU"),))
    values = (45.0, -128.0, float("nan"), float("inf"), 46.0, None, 255.0)
    for n, value in enumerate(values):
        readings.add(float(n), [value])
    (column,) = readings.columns()
    assert column.values == [45.0, None, None, None, 46.0, None, None]
    assert readings.problems() == ["4 impossible values of its temperature, the first -128"]


@pytest.mark.parametrize(
    ("counter", "kept"),
    [
        ([1000.0, 1100.0, 1200.0], [0.0, 100.0, 200.0]),
        # it fell: whatever comes afterwards is counted from an unknown start
        ([1000.0, 1100.0, 5.0, 105.0], [0.0, 100.0, None, None]),
        # a jump of more than ten kilowatts
        ([1000.0, 1e9, 1e9 + 100], [0.0, None, None]),
    ],
)
def test_a_sum_counts_from_the_first_reading_and_never_falls(
    counter: list[float], kept: list[Value]
) -> None:
    readings = Readings((Channel("energy", "CPU packages"),))
    for n, value in enumerate(counter):
        readings.add(float(n), [value])
    assert readings.columns()[0].values == kept


def test_a_reading_with_another_number_of_values_is_a_failure() -> None:
    readings = Readings((Channel("temperature", "CPU"), Channel("power", "GPU 0")))
    with pytest.raises(ValueError, match="a different number"):
        readings.add(1.0, [40.0])
    assert len(readings) == 0


def burn() -> Sequence[Value]:
    """A reading that costs twenty milliseconds of CPU time."""
    began_s = time.thread_time()
    while time.thread_time() - began_s < 0.02:
        pass
    return [40.0]


def test_a_sensor_that_costs_much_is_read_rarely_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Twenty milliseconds of CPU time may be spent once a minute."""
    monkeypatch.setattr(sensing, "CPU_SHARE", 0.0003)
    costly, cheap = Scripted([burn] * 99), Scripted(rows(*[50.0] * 10))
    followed = Sensing({"costly": lambda worker: costly, "cheap": lambda worker: cheap}, worker=1)
    followed.begin()
    assert cheap.exhausted.wait(PATIENCE_S)
    while not (problems := [problem for log in followed.logs() for problem in log.problems]):
        pass  # it is about to be read for the second time, and to rest
    followed.end()
    cheap.let_go.set()
    assert costly.closed.wait(PATIENCE_S), "the end does not wait for its next turn"
    readings = {log.sensor: len(log.at_s) for log in followed.logs()}
    assert readings["costly"] == 2
    assert readings["cheap"] > 1
    assert followed.cpu_s >= 0.02
    assert "it is so slow to read that it pauses up to" in problems[0]


def test_a_first_reading_that_costs_much_silences_no_sensor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sensing, "CPU_SHARE", 0.0003)
    (log,) = logs_of(Scripted([burn, *rows(41.0, 42.0)]))
    assert log.problems == []


def test_a_long_run_keeps_few_readings() -> None:
    sensor = Scripted(rows(*[40.0 + n % 7 for n in range(3 * MAX_READINGS)]))
    (log,) = logs_of(sensor)
    assert len(log.at_s) == len(log.columns[0].values) <= MAX_READINGS + 1


def test_a_machine_with_many_gpus_leaves_a_record_that_can_be_read() -> None:
    channels = [Channel("temperature", f"GPU {n} {'X' * 400}") for n in range(130)]
    readings = Readings(channels)
    readings.add(1.0, [40.0] * len(channels))
    log = SensorLog(
        sensor="many", source="", at_s=readings.times(), columns=readings.columns(), problems=[]
    )
    again = msgspec.json.decode(msgspec.json.encode(log), type=SensorLog)
    assert again.columns[0].values == [40.0]
