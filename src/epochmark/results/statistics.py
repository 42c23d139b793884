"""Figures derived from raw laps: pure functions, so that every reader derives the same."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from epochmark.results.record import Lap

NANOSECONDS = 1e9


@dataclass(frozen=True)
class Interval:
    """A median with the interval around it, in the unit of the values it came from."""

    median: float
    low: float
    high: float
    count: int


def epoch_seconds(laps: Sequence[Lap], steps_per_epoch: int) -> list[float]:
    """Seconds of each whole epoch (``steps_per_epoch`` steps reported), in order.

    An epoch lasts from the end of the one before it (the clock's start for the first) to the end
    of its own last lap.
    """
    seconds: list[float] = []
    start_ns = 0
    steps = 0
    for index, lap in enumerate(laps):
        steps += lap.steps
        last_of_epoch = index + 1 == len(laps) or laps[index + 1].epoch != lap.epoch
        if last_of_epoch:
            if steps == steps_per_epoch:
                seconds.append((lap.end_ns - start_ns) / NANOSECONDS)
            start_ns = lap.end_ns
            steps = 0
    return seconds


def median_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Median with a distribution-free interval from order statistics.

    The interval ``[x(k), x(n+1-k)]`` covers the median of independent draws with probability
    ``1 - 2 P(B < k)``, B binomial(n, 1/2) (Conover, Practical Nonparametric Statistics, 3.2); the
    widest k that keeps ``confidence`` is taken. Below six values no such k exists and the interval
    is the whole range. Raises ``ValueError`` for no values.
    """
    if not values:
        raise ValueError("no values to take a median of")
    ordered = sorted(values)
    count = len(ordered)
    rank, tail = 1, 0.5**count
    while 2 * (tail + math.comb(count, rank) * 0.5**count) <= 1 - confidence:
        tail += math.comb(count, rank) * 0.5**count
        rank += 1
    return Interval(statistics.median(ordered), ordered[rank - 1], ordered[count - rank], count)


def steady_epoch(laps: Sequence[Lap], steps_per_epoch: int) -> Interval | None:
    """Steady seconds per epoch: all whole epochs but the first, which holds the warm-up.

    With a single whole epoch that one is given; None when no epoch was completed.
    """
    seconds = epoch_seconds(laps, steps_per_epoch)
    if not seconds:
        return None
    return median_interval(seconds[1:] or seconds)
