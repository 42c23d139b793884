"""Invented traces of machines: what laps and sensors of a run would say. No machine measured them.

This project's machines have no sensors; the shapes follow what is known of such machines (a time
constant of some minutes for a chassis, a few degrees of sensor noise), the figures are made up.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import msgspec

from epochmark.records.fields import Quantity
from epochmark.records.quantities import QUANTITIES
from epochmark.records.record import Lap, Record, SensorColumn, SensorLog
from tests.unit.samples import record

STEPS = 469
Curve = Callable[[float], float]
"""A quantity by seconds of the clock."""


def approach(start: float, end: float, time_constant_s: float) -> Curve:
    """From one value towards another, as temperatures do."""
    return lambda at_s: end + (start - end) * math.exp(-at_s / time_constant_s)


def laps(epoch_s: Curve, lasted_s: float, noise: float = 0.01) -> list[Lap]:
    """Laps of a quarter of a second or one step, as slow as ``epoch_s`` says at that time."""
    chance = random.Random(1)
    made: list[Lap] = []
    now_s, epoch, left = 0.0, 1, STEPS
    while now_s < lasted_s:
        step_s = epoch_s(now_s) / STEPS
        steps = min(left, max(1, round(0.25 / step_s)))
        now_s += steps * step_s * chance.gauss(1, noise)
        made.append(Lap(epoch=epoch, steps=steps, end_ns=round(now_s * 1e9)))
        left -= steps
        if left == 0:
            epoch, left = epoch + 1, STEPS
    return made


def log(
    columns: dict[tuple[Quantity, str], Curve],
    lasted_s: float,
    *,
    every_s: float = 2.0,
    sensor: str = "invented",
) -> SensorLog:
    """What a sensor with these columns, by quantity and scope, would have read."""
    at_s = [round(n * every_s, 3) for n in range(int(lasted_s / every_s) + 1)]
    return SensorLog(
        sensor=sensor,
        source="an invented trace",
        at_s=at_s,
        columns=[
            SensorColumn(
                quantity=quantity,
                unit=QUANTITIES[quantity].unit,
                scope=scope,
                values=[round(curve(at), 3) for at in at_s],
            )
            for (quantity, scope), curve in columns.items()
        ],
        problems=[],
    )


def run(epoch_s: Curve, *logs: SensorLog, lasted_s: float = 600.0, **workload: object) -> Record:
    """A sound run with these laps and sensors."""
    base = record()
    made = laps(epoch_s, lasted_s)
    replace = msgspec.structs.replace
    return replace(
        base,
        workload=replace(base.workload, epochs=1000, **workload),
        timing=replace(base.timing, laps=made, fit_ns=made[-1].end_ns),
        sensors=list(logs),
    )


def fanless_laptop(lasted_s: float = 600.0, **workload: object) -> Record:
    """It warms up to its limit in two minutes, while its clock and speed fall."""
    heat: dict[tuple[Quantity, str], Curve] = {
        ("temperature", "CPU"): approach(45, 98, 60),
        ("frequency", "CPU"): approach(4200, 2600, 150),
    }
    return run(approach(5, 8, 150), log(heat, lasted_s), lasted_s=lasted_s, **workload)


def desktop(lasted_s: float = 600.0, **workload: object) -> Record:
    """It warms up as well, and keeps its clock and its speed."""
    heat: dict[tuple[Quantity, str], Curve] = {
        ("temperature", "CPU"): approach(38, 74, 50),
        ("frequency", "CPU"): lambda at_s: 4700.0,
    }
    power: dict[tuple[Quantity, str], Curve] = {
        ("energy", "CPU packages"): lambda at_s: 120.0 * at_s,
        ("energy", "DRAM"): lambda at_s: 6.0 * at_s,
        ("power", "GPU 0 a card"): lambda at_s: 25.0,
    }
    return run(
        lambda at_s: 4.0, log(heat, lasted_s), log(power, lasted_s), lasted_s=lasted_s, **workload
    )


def on_battery(unplugged_at_s: float = 0.0, lasted_s: float = 300.0) -> Record:
    """A laptop on battery, at a speed that it keeps."""
    supply: dict[tuple[Quantity, str], Curve] = {
        ("mains", "power supply"): lambda at_s: float(at_s < unplugged_at_s)
    }
    return run(lambda at_s: 6.0, log(supply, lasted_s, every_s=5.0), lasted_s=lasted_s)
