"""Is the machine thermally steady, and what did that cost? Pure rules.

They are explained in docs/measurement/heat-and-energy.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from epochmark.analysis.timing.steady_epoch import NANOSECONDS, SteadyEpoch, steady_epoch
from epochmark.analysis.timing.trend import Drift, slope
from epochmark.records.record import Lap

WINDOW_S = 120.0
"""Over so long speed and temperature may not change. What still cools down or heats up with a time
constant of five minutes, a laptop's chassis for example, has then twice the change to go."""
MIN_S = 180.0
"""Shorter runs are not steady, whatever they look like."""
LIMIT_S = 1200.0
"""Then it ends, steady or not."""
SPEED_CHANGE = 0.015
"""A change that is known to be smaller than this (80 % interval) is none, trend or not."""
LONG_WINDOW_S = 2 * WINDOW_S
FLUCTUATION = 0.1
"""Where the speed fluctuates, it changes by chance: no trend may show in either window then, and
one of this size must be ruled out by the long one."""
TEMPERATURE_CHANGE_C = 1.0
READINGS_S = WINDOW_S / 2
"""Readings of a temperature must span that much to show how it changes over a window."""
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
    """Whether neither speed nor any temperature changes any more."""
    if not laps or laps[-1].end_ns < MIN_S * NANOSECONDS:
        return False
    end_s = laps[-1].end_ns / NANOSECONDS
    return _keeps_its_speed(laps, steps_per_epoch) and all(
        abs(_change_c(at_s, values, end_s)) <= TEMPERATURE_CHANGE_C for at_s, values in temperatures
    )


def _keeps_its_speed(laps: Sequence[Lap], steps_per_epoch: int) -> bool:
    """Either the last ``WINDOW_S`` show that it changes by less than ``SPEED_CHANGE``; or neither
    they nor the last ``LONG_WINDOW_S`` show a trend, which one of ``FLUCTUATION`` would."""
    recent = _trend(laps, steps_per_epoch, WINDOW_S)
    if recent is None:
        return False
    if _within(recent, SPEED_CHANGE):
        return True
    longer = _trend(laps, steps_per_epoch, LONG_WINDOW_S)
    return (
        longer is not None
        and laps[-1].end_ns >= LONG_WINDOW_S * NANOSECONDS
        and all(trend.low <= 0 <= trend.high for trend in (recent, longer))
        and _within(longer, FLUCTUATION)
    )


def _trend(laps: Sequence[Lap], steps_per_epoch: int, lasting_s: float) -> Drift | None:
    steady = steady_epoch(window(laps, lasting_s)[0], steps_per_epoch)
    return steady.drift if steady else None


def _within(trend: Drift, limit: float) -> bool:
    return -limit <= trend.low and trend.high <= limit


def _change_c(at_s: Sequence[float], values: Sequence[float], end_s: float) -> float:
    """By how many degrees a temperature changes in ``WINDOW_S``, by the readings of the window; of
    the long one where it is read rarely or fell silent. Where those are too few as well it is no
    thermometer any more, and 0."""
    for lasting_s in (WINDOW_S, LONG_WINDOW_S):
        recent = [
            (at, value)
            for at, value in zip(at_s, values, strict=True)
            if end_s - lasting_s <= at <= end_s
        ]
        if recent and recent[-1][0] - recent[0][0] >= READINGS_S:
            times, readings = zip(*recent, strict=True)
            return WINDOW_S * slope(times, readings)
    return 0.0


def window(laps: Sequence[Lap], lasting_s: float | None = None) -> tuple[list[Lap], int]:
    """The laps of the last ``lasting_s`` (else ``WINDOW_S``) with a clock that starts with them,
    and where on the clock of the fit that is, nanoseconds."""
    lasting_ns = round((WINDOW_S if lasting_s is None else lasting_s) * NANOSECONDS)
    start_ns = laps[-1].end_ns - lasting_ns if laps else 0
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
