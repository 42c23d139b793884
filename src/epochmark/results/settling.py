"""Is the machine thermally steady, and what did that cost? Pure rules (docs/measurement.md)."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from epochmark.results.record import Lap
from epochmark.results.statistics import NANOSECONDS, SteadyEpoch, drift, steady_epoch

WINDOW_S = 120.0
"""Over so long nothing may change. What still cools down or heats up with a time constant of five
minutes, a laptop's chassis for example, is within three times the limits of its end then."""
MIN_S = 180.0
"""Shorter runs are not steady, whatever they look like."""
LIMIT_S = 1200.0
"""Then it ends, steady or not."""
SPEED_CHANGE = 0.01
TEMPERATURE_CHANGE_C = 1.0
BURST_S = 60.0
"""The beginning that a short benchmark sees."""

Readings = tuple[Sequence[float], Sequence[float]]
"""Seconds of the clock, and temperatures in °C."""


@dataclass(frozen=True)
class Settled:
    """Speed at the beginning and once thermally steady. ``ratio``: settled speed over burst speed,
    1 where heat takes nothing away."""

    burst: SteadyEpoch
    settled: SteadyEpoch
    after_s: float

    @property
    def ratio(self) -> float:
        return self.burst.interval.median / self.settled.interval.median


def is_steady(
    laps: Sequence[Lap], steps_per_epoch: int, temperatures: Iterable[Readings] = ()
) -> bool:
    """Whether over the last ``WINDOW_S`` neither speed nor any temperature changed."""
    if not laps or laps[-1].end_ns < MIN_S * NANOSECONDS:
        return False
    end_s = laps[-1].end_ns / NANOSECONDS
    recent = steady_epoch(window(laps)[0], steps_per_epoch)
    if recent is None or recent.drift is None or abs(recent.drift.change) > SPEED_CHANGE:
        return False
    return all(
        abs(_change_c(at_s, values, end_s)) <= TEMPERATURE_CHANGE_C for at_s, values in temperatures
    )


def _change_c(at_s: Sequence[float], values: Sequence[float], end_s: float) -> float:
    """By how many degrees a temperature changed over the window; 0 where too little is known."""
    recent = [
        (at, value)
        for at, value in zip(at_s, values, strict=True)
        if end_s - WINDOW_S <= at <= end_s
    ]
    times, readings = [at for at, _ in recent], [value for _, value in recent]
    trend = drift(times, readings)
    return 0.0 if trend is None else trend.change * statistics.median(readings)


def window(laps: Sequence[Lap]) -> tuple[list[Lap], int]:
    """The laps of the last ``WINDOW_S`` with a clock that starts with them, and where on the clock
    of the fit that is, nanoseconds."""
    start_ns = laps[-1].end_ns - round(WINDOW_S * NANOSECONDS) if laps else 0
    before = [lap.end_ns for lap in laps if lap.end_ns <= start_ns]
    start_ns = before[-1] if before else 0
    moved = [
        Lap(epoch=lap.epoch, steps=lap.steps, end_ns=lap.end_ns - start_ns)
        for lap in laps[len(before) :]
    ]
    return moved, start_ns


def settled(laps: Sequence[Lap], steps_per_epoch: int) -> Settled | None:
    """Burst and settled speed; None where the run did not come so far."""
    first = [lap for lap in laps if lap.end_ns <= BURST_S * NANOSECONDS]
    burst = steady_epoch(first, steps_per_epoch)
    last = steady_epoch(window(laps)[0], steps_per_epoch)
    if burst is None or last is None or laps[-1].end_ns < (BURST_S + WINDOW_S) * NANOSECONDS:
        return None
    return Settled(burst, last, laps[-1].end_ns / NANOSECONDS)
