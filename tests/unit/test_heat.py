"""Throttling, battery, energy and settling, from invented traces of machines."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest

from epochmark.analysis.machine.sensed import Energy, energy_of, on_battery
from epochmark.analysis.timing.settling import LIMIT_S, MIN_S, WINDOW_S, settled
from epochmark.bench.settle import SettleStop
from epochmark.judge.disturbances import disturbances
from epochmark.judge.reading import decode_record
from epochmark.judge.validity import judge
from epochmark.records.record import Lap, Record, SensorLog
from epochmark.records.upgrades import encode_record
from epochmark.report.text.answer import answer_lines
from epochmark.worker import protocol
from tests.unit import traces
from tests.unit.traces import STEPS, Curve, approach, desktop, fanless_laptop, log, run


def codes(record: Record) -> list[str]:
    """What is found, once the record has been written and read."""
    return [finding.code for finding in disturbances(decode_record(encode_record(record)))]


def shown(record: Record, label: str) -> list[str]:
    """The lines of the answer with this label."""
    return [line for line in answer_lines(record) if line.split()[:1] == [label]]


def test_a_fanless_laptop_throttles() -> None:
    record = fanless_laptop()
    assert "throttled" in codes(record)
    assert "drifting" not in codes(record)
    (finding,) = [finding for finding in disturbances(record) if finding.code == "throttled"]
    assert "CPU warmed from" in finding.detail


def test_a_desktop_that_warms_up_and_keeps_its_speed_does_not() -> None:
    assert codes(desktop()) == []


def without(record: Record, quantity: str) -> Record:
    """The record of a machine that does not report this."""
    logs = [
        msgspec.structs.replace(
            log, columns=[column for column in log.columns if column.quantity != quantity]
        )
        for log in record.sensors or []
    ]
    return msgspec.structs.replace(record, sensors=logs)


def trained_on_gpu(record: Record, description: str | None = "a card") -> Record:
    """The same, had its engine said that this GPU trained."""
    device = msgspec.structs.replace(
        record.device,
        requested="gpu",
        resolved="gpu:0",
        resolved_description=description,
        observed=["gpu:0"],
    )
    return msgspec.structs.replace(record, device=device)


SLOWER = approach(5, 8, 150)
WARMER: Any = {("temperature", "CPU"): approach(45, 98, 60)}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ({}, "drifting"),
        (WARMER, "throttled"),
        # its clock did not fall, so that something else made it slower
        ({**WARMER, ("frequency", "CPU"): lambda at_s: 4200.0}, "drifting"),
        ({**WARMER, ("frequency", "CPU"): approach(4200, 2600, 150)}, "throttled"),
        # a clock that falls says nothing of heat: power limits and governors do that as well
        ({("frequency", "CPU"): approach(4200, 2600, 150)}, "drifting"),
        ({("temperature", "CPU"): lambda at_s: 80.0}, "drifting"),
        ({("throttle_count", "CPU"): lambda at_s: at_s // 7}, "throttled"),
        # only at the beginning, when it was not counted yet
        ({("throttle_count", "CPU"): lambda at_s: 3.0}, "drifting"),
        ({("throttle_level", "CPU and GPU"): lambda at_s: float(at_s > 400)}, "throttled"),
        ({("throttle_level", "CPU and GPU"): lambda at_s: float(at_s < 30)}, "drifting"),
        ({("throttle_level", "GPU 0"): lambda at_s: 1.0}, "drifting"),
    ],
)
def test_loss_of_speed_is_put_down_to_heat_where_a_sensor_says_so(
    columns: Any, expected: str
) -> None:
    found = codes(run(SLOWER, log(columns, 600)))
    assert {"throttled", "drifting"} & set(found) == {expected}


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        (WARMER, "drifting"),
        ({("throttle_count", "CPU"): lambda at_s: at_s // 7}, "drifting"),
        ({("temperature", "GPU 0 a card"): approach(45, 90, 60)}, "throttled"),
        ({("throttle_level", "GPU 0 a card"): lambda at_s: float(at_s > 400)}, "throttled"),
        ({("throttle_level", "CPU and GPU"): lambda at_s: 1.0}, "throttled"),
    ],
)
def test_heat_of_the_processor_is_not_why_a_gpu_became_slower(columns: Any, expected: str) -> None:
    record = trained_on_gpu(run(SLOWER, log(columns, 600)))
    assert {"throttled", "drifting"} & set(codes(record)) == {expected}


def test_getting_faster_while_it_warms_up_is_no_throttling() -> None:
    assert "throttled" not in codes(run(approach(8, 5, 150), log(WARMER, 600)))


def test_a_run_without_sensors_drifts() -> None:
    record = msgspec.structs.replace(fanless_laptop(), sensors=None)
    assert "drifting" in codes(record)
    assert shown(record, "energy") == []


def test_a_battery_is_remarked_and_unplugging_is_found() -> None:
    unplugged = traces.on_battery()
    assert codes(unplugged) == []
    assert on_battery(unplugged) is True
    assert "battery" in shown(unplugged, "power")[0]
    changed = traces.on_battery(unplugged_at_s=100)
    assert codes(changed) == ["power-changed"]
    assert on_battery(changed) is None
    plugged = traces.on_battery(unplugged_at_s=1e9)
    assert (codes(plugged), shown(plugged, "power")) == ([], [])


def test_energy_is_given_for_each_part_that_reports_it() -> None:
    found = {energy.scope: energy for energy in energy_of(desktop())}
    assert set(found) == {"CPU packages", "DRAM", "GPU 0 a card"}
    assert found["CPU packages"].watts == pytest.approx(120)
    assert found["CPU packages"].joules_per_epoch == pytest.approx(480, rel=0.01)
    assert found["DRAM"].joules_per_epoch == pytest.approx(24, rel=0.01)
    assert found["GPU 0 a card"].joules_per_epoch == pytest.approx(100, rel=0.01)
    lines = shown(desktop(), "energy")
    assert len(lines) == 3
    assert "CPU packages" in lines[0]


def energies(*logs: SensorLog, lasted_s: float = 600.0) -> list[Energy]:
    return energy_of(run(lambda at_s: 4.0, *logs, lasted_s=lasted_s))


@pytest.mark.parametrize(
    ("columns", "lasted_s", "every_s"),
    [
        ({}, 600, 1),
        # a counter that stands still is no machine without consumption
        ({("energy", "CPU packages"): lambda at_s: 7.0}, 600, 1),
        ({("power", "GPU 0"): lambda at_s: 0.0}, 600, 1),
        # too short, too few
        ({("energy", "CPU packages"): lambda at_s: 100 * at_s}, 50, 1),
        ({("power", "GPU 0"): lambda at_s: 100.0}, 600, 60),
    ],
)
def test_energy_is_not_measured_rather_than_zero(
    columns: Any, lasted_s: float, every_s: float
) -> None:
    sensor = log(columns, lasted_s, every_s=every_s)
    assert energies(sensor) == []
    (line,) = shown(run(lambda at_s: 4.0, sensor), "energy")
    assert "not measured" in line


@pytest.mark.parametrize("back_to_truth", [False, True])
@pytest.mark.parametrize("every_s", [1, 8, 25])
def test_what_a_counter_missed_while_it_stalled_is_not_counted(
    every_s: float, back_to_truth: bool
) -> None:
    def stalled(at_s: float) -> float:
        missed_s = min(max(at_s - 300, 0), 150)
        return 120 * (at_s - (missed_s if at_s < 450 or not back_to_truth else 0))

    (energy,) = energies(log({("energy", "CPU packages"): stalled}, 600, every_s=every_s))
    assert energy.watts == pytest.approx(120)
    assert energy.joules_per_epoch == pytest.approx(480, rel=0.01)
    assert 240 < energy.lasted_s <= 300


def test_a_counter_that_froze_for_good_counts_until_then_if_that_is_long_enough() -> None:
    def frozen(after_s: float) -> Any:
        return {("energy", "CPU packages"): lambda at_s: 120 * min(at_s, after_s)}

    (energy,) = energies(log(frozen(120), 600))
    assert energy.watts == pytest.approx(120)
    assert energy.lasted_s < 120
    assert energies(log(frozen(40), 600)) == []


def without_readings(sensor: SensorLog, start_s: float, end_s: float) -> SensorLog:
    """What it would have logged, had its first column had no value in that time."""
    column = sensor.columns[0]
    kept = [
        None if start_s < at < end_s else value
        for at, value in zip(sensor.at_s, column.values, strict=True)
    ]
    return msgspec.structs.replace(
        sensor, columns=[msgspec.structs.replace(column, values=kept), *sensor.columns[1:]]
    )


def test_power_is_not_guessed_where_it_was_not_read() -> None:
    power: Any = {("power", "GPU 0"): lambda at_s: 200.0 if at_s < 200 else 30.0}
    (energy,) = energies(without_readings(log(power, 600), 180, 500))
    assert energy.watts == 200
    assert energy.lasted_s == pytest.approx(180, abs=10)
    assert energies(without_readings(log(power, 600), 50, 560)) == []
    (energy,) = energies(without_readings(log(power, 600, every_s=8), 190, 195))
    assert energy.lasted_s > 580, "one reading left out is no gap"


def test_a_counter_goes_before_the_power_of_the_same_part() -> None:
    both: Any = {("power", "GPU 0"): lambda at_s: 90.0, ("energy", "GPU 0"): lambda at_s: 95 * at_s}
    (energy,) = energies(log(both, 600))
    assert energy.watts == pytest.approx(95)


def test_why_energy_is_missing_is_said() -> None:
    refused = SensorLog(
        sensor="package-energy", source="", at_s=[], columns=[], problems=["only root may read it"]
    )
    (line,) = shown(run(lambda at_s: 4.0, refused), "energy")
    assert line.endswith("not measured: only root may read it")


def logs_until(record: Record, end_s: float) -> list[SensorLog]:
    """What the sensors had said by then."""
    replace = msgspec.structs.replace
    found = []
    for sensed in record.sensors or []:
        count = sum(at <= end_s for at in sensed.at_s)
        columns = [replace(column, values=column.values[:count]) for column in sensed.columns]
        found.append(replace(sensed, at_s=sensed.at_s[:count], columns=columns))
    return found


def stopped_after(record: Record) -> float:
    """Seconds after which a run with these laps and sensors, fed live, is asked to stop."""
    now_s = 0.0

    stop = SettleStop(STEPS, lambda: logs_until(record, now_s))
    for lap in record.timing.laps:
        now_s = lap.end_ns / 1e9
        if stop(protocol.LapEnd(lap.epoch, lap.steps, lap.end_ns, None, None)):
            return now_s
    raise AssertionError("it was never stopped")


def cut(record: Record, end_s: float) -> Record:
    """The record of a run that ended then."""
    laps = [lap for lap in record.timing.laps if lap.end_ns <= end_s * 1e9 + 1]
    timing = msgspec.structs.replace(record.timing, laps=laps, fit_ns=laps[-1].end_ns)
    return msgspec.structs.replace(record, timing=timing, sensors=logs_until(record, end_s))


def test_a_machine_that_throttles_settles_when_it_has_stopped_to() -> None:
    record = fanless_laptop(lasted_s=1300, settle=True)
    end_s = stopped_after(record)
    assert MIN_S < end_s < LIMIT_S
    ended = cut(record, end_s)
    assert codes(ended) == []
    found = settled(ended.timing.laps, STEPS)
    assert found is not None
    assert found.settled.interval.median == pytest.approx(8, rel=0.03)
    assert found.burst.interval.median < 6
    assert found.ratio < 0.75
    assert decode_record(encode_record(ended)).headline.steady_epoch_s == pytest.approx(8, rel=0.03)
    assert decode_record(encode_record(ended)).headline.elapsed_s is None
    (line,) = shown(ended, "settling")
    assert "of the burst speed" in line


def test_a_machine_that_keeps_its_speed_settles_once_it_is_warm() -> None:
    record = desktop(lasted_s=1300, settle=True)
    end_s = stopped_after(record)
    assert end_s < LIMIT_S / 3
    found = settled(cut(record, end_s).timing.laps, STEPS)
    assert found is not None
    assert found.ratio == pytest.approx(1, abs=0.01)


def fluctuating(epoch_s: Curve) -> Curve:
    """The same on a host that gives now more, now less: by 6 %, in half a minute and faster."""
    return lambda at_s: (
        epoch_s(at_s) * (1 + 0.04 * math.sin(at_s / 3.7) + 0.02 * math.sin(at_s / 5.3 + 1))
    )


def test_a_machine_of_constant_speed_has_no_burst_however_its_laps_scatter() -> None:
    """Epochs of 12 s, every seventh lap 30 % longer: a median of laps would call that a burst."""
    seconds = [0.25 * (1.3 if number % 7 == 3 else 1.0) for number in range(48 * 40)]
    ends, laps = 0.0, []
    for number, lap_s in enumerate(seconds):
        ends += lap_s
        laps.append(Lap(epoch=number // 48 + 1, steps=10, end_ns=round(ends * 1e9)))
    found = settled(laps, 480)
    assert found is not None
    assert (found.burst.unit, found.settled.unit) == ("lap", "epoch")
    assert found.ratio == pytest.approx(1.0, abs=0.01)


def test_a_machine_that_only_fluctuates_settles_and_is_not_waited_for_in_vain() -> None:
    record = run(fluctuating(lambda at_s: 4.0), lasted_s=1300, settle=True)
    end_s = stopped_after(record)
    assert 2 * WINDOW_S <= end_s < LIMIT_S / 3
    assert "unsettled" not in codes(cut(record, end_s))


def test_a_trend_beneath_fluctuation_is_waited_for() -> None:
    record = run(fluctuating(approach(5, 8, 150)), lasted_s=1300, settle=True)
    end_s = stopped_after(record)
    assert 400 < end_s < LIMIT_S
    found = settled(cut(record, end_s).timing.laps, STEPS)
    assert found is not None
    assert found.settled.interval.median == pytest.approx(8, rel=0.04)


def test_fluctuation_that_would_hide_anything_is_not_steady() -> None:
    wild = run(lambda at_s: 6 + 3 * math.sin(at_s / 30), lasted_s=1300, settle=True)
    end_s = stopped_after(wild)
    assert end_s == pytest.approx(LIMIT_S, abs=10)
    assert "unsettled" in codes(cut(wild, end_s))


def test_heat_that_still_rises_is_waited_for_though_the_speed_is_steady() -> None:
    heat: Any = {("temperature", "CPU"): approach(40, 80, 200)}
    warming = run(lambda at_s: 4.0, log(heat, 1300), lasted_s=1300, settle=True)
    assert stopped_after(warming) > MIN_S + 120


@pytest.mark.parametrize("every_s", [25, 60, 110])
def test_heat_that_rises_is_waited_for_though_it_is_read_rarely(every_s: float) -> None:
    heat: Any = {("temperature", "CPU"): lambda at_s: 40 + 0.02 * at_s}
    warming = run(lambda at_s: 4.0, log(heat, 1300, every_s=every_s), lasted_s=1300, settle=True)
    assert stopped_after(warming) == pytest.approx(LIMIT_S, abs=10)
    kept: Any = {("temperature", "CPU"): lambda at_s: 60.0}
    warm = run(lambda at_s: 4.0, log(kept, 1300, every_s=every_s), lasted_s=1300, settle=True)
    assert stopped_after(warm) < LIMIT_S / 3


def test_a_thermometer_that_dies_is_remembered_but_not_waited_for_until_the_end() -> None:
    """It said last that the machine was warming, a degree at a time."""
    died_s = 170.0
    heat: Any = {("temperature", "CPU"): lambda at_s: 40.0 + at_s // 10}
    record = run(lambda at_s: 4.0, log(heat, died_s), lasted_s=1300, settle=True)
    end_s = stopped_after(record)
    assert died_s + WINDOW_S < end_s < died_s + 2 * WINDOW_S
    assert codes(cut(record, end_s)) == []


def test_settling_has_an_end_and_says_that_it_was_no_success() -> None:
    slower = run(approach(5, 25, 2000), lasted_s=1300, settle=True)
    end_s = stopped_after(slower)
    assert end_s == pytest.approx(LIMIT_S, abs=5)
    assert "unsettled" in codes(cut(slower, end_s))


def test_a_run_too_short_to_settle_says_so() -> None:
    record = fanless_laptop(lasted_s=90, settle=True)
    assert "unsettled" in codes(record)
    (line,) = shown(record, "settling")
    assert "before both" in line
    assert json.loads(encode_record(record))["workload"]["settle"] is True


NAME = "Stand-In 3000"


def on_gpu(use: Any, description: str | None = NAME, lasted_s: float = 60.0) -> Record:
    """A run that its engine says was made on this GPU, and how busy the driver saw one."""
    record = run(
        lambda at_s: 1.0, log({("utilisation", f"GPU 1 {NAME}"): use}, lasted_s), lasted_s=lasted_s
    )
    return trained_on_gpu(record, description)


@pytest.mark.parametrize(
    ("record", "mismatched"),
    [
        (on_gpu(lambda at_s: 0.0), True),
        (on_gpu(lambda at_s: 87.0), False),
        (on_gpu(lambda at_s: float(at_s > 55)), False),
        # another GPU trained, of which nothing is known
        (on_gpu(lambda at_s: 0.0, description="Another GPU"), False),
        (on_gpu(lambda at_s: 0.0, description=None), False),
        (on_gpu(lambda at_s: 0.0, lasted_s=10.0), False),
    ],
)
def test_a_gpu_that_its_driver_saw_idle_did_not_train(record: Record, mismatched: bool) -> None:
    found = [finding.code for finding in judge(record)]
    assert ("device-mismatch" in found) is mismatched


def test_the_use_of_the_gpu_is_shown() -> None:
    (line,) = shown(on_gpu(lambda at_s: 87.0), "GPU")
    assert "87 % busy" in line
