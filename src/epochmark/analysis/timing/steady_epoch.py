"""The steady epoch: seconds an epoch takes once warm, from raw laps; pure functions.

Every rule, threshold and source is explained in docs/measurement/steady-epoch.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from epochmark.analysis.timing.intervals import (
    MIN_INTERVAL_VALUES,
    Interval,
    count_outliers,
    mean_interval,
    median_interval,
    robust_spread,
)
from epochmark.analysis.timing.trend import Drift, drift
from epochmark.records.record import Lap

NANOSECONDS = 1e9

WARM_UP_SIGMAS = 3.0

MIN_WHOLE_EPOCHS = MIN_INTERVAL_VALUES
"""With fewer whole epochs the laps inside them say more."""

QUICK_PRECISION = 0.01
"""Half the interval over the steady epoch at which a quick run ends."""

QUICK_EPOCHS = 2.5
"""A quarter of a full run: here a quick run ends, unless its figure is too uncertain to be used."""

QUICK_BUDGET_S = 60.0
"""Here it ends at the latest, if need be before its first epoch has."""

UNSURE_OF_ONE = 0.5
"""A change of epochs seen once may take as much more or less the next time, as a share."""

MAX_UNITS = 200
"""Longer series of laps are merged to this many: Theil and Sen's slope looks at every pair."""

MIN_COLD_UNITS = 2
"""So few laps may all be warm-up: no figure is taken from them."""


@dataclass(frozen=True)
class SteadyEpoch:
    """Seconds an epoch takes once warm, and how they were found.

    ``unit`` says what was counted: whole epochs, or laps inside them. ``warm_up_s`` is when the
    warm part begins, ``warm_up_excess_s`` what the time before it took beyond steady speed. With
    ``epoch_end_seen`` false, what happens between two epochs is not part of the figure.
    """

    interval: Interval
    unit: Literal["epoch", "lap"]
    warm_up_s: float
    warm_up_excess_s: float
    warm_up_units: int
    warm_s: float
    outliers: int
    drift: Drift | None
    epoch_end_seen: bool

    @property
    def half_width(self) -> float:
        """Half the interval, as a share of the figure."""
        return (self.interval.high - self.interval.low) / 2 / self.interval.median

    def projected_s(self, epochs: int) -> Interval:
        """Seconds that a whole cold fit of so many epochs would take."""
        low, median, high = (
            self.warm_up_excess_s + epochs * seconds
            for seconds in (self.interval.low, self.interval.median, self.interval.high)
        )
        return Interval(median, low, high, self.interval.count)


@dataclass(frozen=True)
class _Series:
    """Seconds per epoch that each unit stands for; when it ended, and its steps."""

    values: list[float]
    ends_s: list[float]
    steps: list[int]


def epoch_seconds(laps: Sequence[Lap], steps_per_epoch: int) -> list[float]:
    """Seconds of each whole epoch (``steps_per_epoch`` steps reported), in order.

    An epoch lasts from the end of the one before it (the clock's start for the first) to the end
    of its own last lap.
    """
    return _whole_epochs(laps, steps_per_epoch).values


def warm_up_length(values: Sequence[float]) -> int:
    """How many leading values are warm-up: slower than the second half by more than its spread.

    Only slowness counts, and never more than half of the series: a start that is *faster* than the
    rest is a machine that throttles, which must show and not be cut off.
    """
    if len(values) < 2:
        return 0
    second_half = values[len(values) // 2 :]
    level = statistics.median(second_half)
    limit = level + WARM_UP_SIGMAS * robust_spread(second_half)
    length = 0
    # the first value at normal speed ends it: a slow one after that is noise or drift
    while length < len(values) // 2 and values[length] > limit:
        length += 1
    return length


def steady_epoch(laps: Sequence[Lap], steps_per_epoch: int) -> SteadyEpoch | None:
    """Steady seconds per epoch, from the warm part.

    The median of whole epochs where there are ``MIN_WHOLE_EPOCHS`` of them, else the mean of the
    laps inside epochs, scaled to an epoch, plus what the change from one epoch to the next takes on
    top. (An epoch is a sum of laps: their median would leave out what only some of them have, but
    every epoch.) None when neither an epoch nor a warm lap was completed.
    """
    epochs = _whole_epochs(laps, steps_per_epoch)
    if len(epochs.values) >= MIN_WHOLE_EPOCHS:
        return _summary(epochs, "epoch", steps_per_epoch, None)
    interior, changes = _inside_epochs(laps, steps_per_epoch)
    if len(interior.values) > max(len(epochs.values), MIN_COLD_UNITS):
        return _summary(interior, "lap", steps_per_epoch, changes)
    return _summary(epochs, "epoch", steps_per_epoch, None) if epochs.values else None


def _summary(
    series: _Series,
    unit: Literal["epoch", "lap"],
    steps_per_epoch: int,
    changes: list[tuple[float, int]] | None,
) -> SteadyEpoch:
    """``changes``: seconds and steps of the laps around each change of epoch, for ``lap``.

    The first change is part of the warm-up: some engines compile again for the smaller last batch.
    """
    cold = warm_up_length(series.values)
    values, ends_s = series.values[cold:], series.ends_s[cold:]
    if unit == "epoch":
        interval = median_interval(values)
    else:
        interval = mean_interval(values, series.steps[cold:])
    # of laps this is the step inside an epoch: what a change of epochs takes on top comes below
    step_s = interval.median / steps_per_epoch
    cold_extra, *extras = [seconds - steps * step_s for seconds, steps in changes or []] or [0.0]
    if extras:
        # laps that happened to be slow must not make an epoch look shorter than nothing
        extras = [max(extra, -interval.low / 2) for extra in extras]
        # a single change has no spread of its own, so its interval is a guess
        unsure = abs(extras[0]) * UNSURE_OF_ONE if len(extras) == 1 else 0.0
        interval = Interval(
            interval.median + statistics.median(extras),
            interval.low + min(extras) - unsure,
            interval.high + max(extras) + unsure,
            interval.count,
        )
    warm_up_s = series.ends_s[cold - 1] if cold else 0.0
    # by their steps, since laps differ in length
    excess_s = warm_up_s - sum(series.steps[:cold]) * step_s
    return SteadyEpoch(
        interval=interval,
        unit=unit,
        warm_up_s=warm_up_s,
        warm_up_excess_s=max(0.0, excess_s) + max(0.0, cold_extra),
        warm_up_units=cold,
        warm_s=series.ends_s[-1] - warm_up_s,
        outliers=count_outliers(values),
        drift=drift(ends_s, values),
        epoch_end_seen=unit == "epoch" or bool(extras),
    )


def _whole_epochs(laps: Sequence[Lap], steps_per_epoch: int) -> _Series:
    """One unit per whole epoch."""
    series = _Series([], [], [])
    start_ns = steps = 0
    for index, lap in enumerate(laps):
        steps += lap.steps
        last_of_epoch = index + 1 == len(laps) or laps[index + 1].epoch != lap.epoch
        if last_of_epoch:
            # one that was cut short (--steps, --quick) does not count
            if steps == steps_per_epoch:
                series.values.append((lap.end_ns - start_ns) / NANOSECONDS)
                series.ends_s.append(lap.end_ns / NANOSECONDS)
                series.steps.append(steps)
            start_ns, steps = lap.end_ns, 0
    return series


def _inside_epochs(
    laps: Sequence[Lap], steps_per_epoch: int
) -> tuple[_Series, list[tuple[float, int]]]:
    """Laps that lie inside an epoch as units, and seconds and steps of the pairs of laps between
    which an epoch changes: summing up, reading the loss and shuffling happen in those."""
    starts_ns = [0, *(lap.end_ns for lap in laps)]
    seconds = [
        (lap.end_ns - start) / NANOSECONDS for start, lap in zip(starts_ns, laps, strict=False)
    ]
    changing = [
        index for index in range(1, len(laps)) if laps[index].epoch != laps[index - 1].epoch
    ]
    changes = [
        (seconds[index - 1] + seconds[index], laps[index - 1].steps + laps[index].steps)
        for index in changing
    ]
    # both laps beside a change: it depends on the engine which of them pays for it
    around = {*changing, *(index - 1 for index in changing)}
    kept = [index for index in range(len(laps)) if index not in around]
    group = max(1, math.ceil(len(kept) / MAX_UNITS))
    series = _Series([], [], [])
    for start in range(0, len(kept), group):
        members = kept[start : start + group]
        steps = sum(laps[index].steps for index in members)
        lasted_s = sum(seconds[index] for index in members)
        series.values.append(lasted_s / steps * steps_per_epoch)
        series.ends_s.append(laps[members[-1]].end_ns / NANOSECONDS)
        series.steps.append(steps)
    return series, changes
