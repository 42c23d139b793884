"""The steady epoch: seconds an epoch takes once warm, from raw laps; pure functions.

Every rule, threshold and source is explained in docs/measurement/steady-epoch.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from epochmark.analysis.timing.beside import NOTHING, Beside, Span
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

LONG_WAIT_SHARE = 0.1
"""Of an epoch or a lap: shorter waits of the framework widen an interval by 5 % to either side at
most, and alone make no run unsteady."""
LEAST_COMPUTED_SHARE = 0.1
"""Of an epoch or a lap, whatever is taken off for waits: their length is an estimate."""

QUICK_PRECISION = 0.01
"""Half the interval over the steady epoch at which a quick run ends."""

QUICK_EPOCHS = 2.5
"""A quarter of a full run: here a quick run ends, unless its figure is too uncertain to be used."""

QUICK_BUDGET_S = 60.0
"""Here it ends at the latest, if need be before its first epoch has ..."""
QUICK_SHARE = 0.5
"""... or here, so that it never takes as long as the run that it stands for; but of neither with
fewer laps than an interval needs."""

UNSURE_OF_ONE = 0.5
"""A change of epochs seen once may take as much more or less the next time, as a share."""

MAX_UNITS = 200
"""Longer series of laps are merged to this many: Theil and Sen's slope looks at every pair."""

MIN_COLD_UNITS = 2
"""So few laps may all be warm-up: no figure is taken from them."""


class Waiting(NamedTuple):
    """How the framework's waits are kept out of a figure: the ``units`` in which it waited for
    long, for ``seconds`` in all, are left out; or their waits were ``taken_off``, where too few
    units are without."""

    units: int
    seconds: float
    taken_off: bool


@dataclass(frozen=True)
class SteadyEpoch:
    """Seconds an epoch takes once warm, and how they were found.

    ``unit`` says what was counted: whole epochs, or laps inside them. ``warm_up_s`` is when the
    warm part begins, ``warm_up_excess_s`` what the time before it took beyond steady speed. With
    ``epoch_end_seen`` false, what happens between two epochs is not part of the figure. ``waiting``
    is None where the framework did not wait for long.
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
    waiting: Waiting | None = None

    @property
    def half_width(self) -> float:
        """Half the interval, as a share of the figure."""
        return (self.interval.high - self.interval.low) / 2 / self.interval.median

    @property
    def knows_its_spread(self) -> bool:
        """Whether there are enough values for an interval."""
        return self.interval.count >= MIN_INTERVAL_VALUES

    def projected_s(self, epochs: int) -> Interval:
        """Seconds that a whole cold fit of that many epochs would take."""
        low, median, high = (
            self.warm_up_excess_s + epochs * seconds
            for seconds in (self.interval.low, self.interval.median, self.interval.high)
        )
        return Interval(median, low, high, self.interval.count)


class _Unit(NamedTuple):
    """An epoch, or some laps of it: when, its steps, seconds in all and in which the framework
    waited (of these some that may be no wait), and the seconds per epoch that it stands for, at
    least and at most."""

    span: Span
    steps: int
    lasted_s: float
    waited_s: float
    unsure_s: float
    value: float
    most: float

    @property
    def waited_long(self) -> bool:
        return self.waited_s > LONG_WAIT_SHARE * self.lasted_s

    def computed(self) -> _Unit:
        """The same without its waits."""
        lasted_s = max(self.lasted_s - self.waited_s, LEAST_COMPUTED_SHARE * self.lasted_s)
        scale = self.value / self.lasted_s
        most_s = min(lasted_s + self.unsure_s, self.lasted_s)
        return self._replace(
            lasted_s=lasted_s, waited_s=0.0, value=scale * lasted_s, most=scale * most_s
        )


def epoch_seconds(laps: Sequence[Lap], steps_per_epoch: int) -> list[float]:
    """Seconds of each whole epoch (``steps_per_epoch`` steps reported), in order.

    An epoch lasts from the end of the one before it (the clock's start for the first) to the end
    of its own last lap.
    """
    return [epoch.value for epoch in _whole_epochs(laps, steps_per_epoch, NOTHING)]


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


def steady_epoch(
    laps: Sequence[Lap], steps_per_epoch: int, seen: Beside = NOTHING
) -> SteadyEpoch | None:
    """Steady seconds per epoch, from the warm part; ``seen`` is what was seen beside the laps.

    The median of whole epochs where enough of them are warm for an interval, else the mean of the
    laps inside epochs, scaled to an epoch, plus what the change from one epoch to the next takes on
    top. (An epoch is a sum of laps: their median would leave out what only some of them have, but
    every epoch.) None when neither an epoch nor a warm lap was completed.
    """
    epochs = _whole_epochs(laps, steps_per_epoch, seen)
    whole = _summary(epochs, "epoch", steps_per_epoch, (), seen) if epochs else None
    if whole is not None and whole.knows_its_spread:
        return whole
    interior, changes = _inside_epochs(laps, steps_per_epoch, seen)
    if len(interior) > max(len(epochs), MIN_COLD_UNITS):
        return _summary(interior, "lap", steps_per_epoch, changes, seen)
    return whole


def _summary(
    units: Sequence[_Unit],
    unit: Literal["epoch", "lap"],
    steps_per_epoch: int,
    changes: Sequence[_Unit],
    seen: Beside,
) -> SteadyEpoch:
    """``changes``: the laps around each change of epoch, for ``lap``.

    The first change is part of the warm-up: some engines compile again for the smaller last batch.
    """
    cold = _cold_units(units, seen)
    warm, waiting = _without_waits(units[cold:], MIN_INTERVAL_VALUES)
    values = [unit.value for unit in warm]
    steps = [unit.steps for unit in warm]
    interval = median_interval(values) if unit == "epoch" else mean_interval(values, steps)
    if waiting is not None and waiting.taken_off:
        # each value below its upper end may be as much as ``most``
        most = max((unit.most for unit in warm if unit.value <= interval.high), default=0.0)
        interval = replace(interval, high=max(interval.high, most))
    # of laps this is the step inside an epoch: what a change of epochs takes on top comes below
    step_s = interval.median / steps_per_epoch
    cold_extra_s = sum(change.computed().lasted_s - change.steps * step_s for change in changes[:1])
    warm_changes, at_changes = _without_waits(changes[1:], 1)
    if warm_changes:
        extras = [change.lasted_s - change.steps * step_s for change in warm_changes]
        interval = _with_changes(interval, extras)
    warm_up_s = units[cold - 1].span.end_s if cold else 0.0
    # by their steps, since laps differ in length
    excess_s = warm_up_s - sum(unit.steps for unit in units[:cold]) * step_s
    excess_s -= seen.waited_s(Span(0.0, warm_up_s))
    return SteadyEpoch(
        interval=interval,
        unit=unit,
        warm_up_s=warm_up_s,
        warm_up_excess_s=max(0.0, excess_s) + max(0.0, cold_extra_s),
        warm_up_units=cold,
        warm_s=units[-1].span.end_s - warm_up_s,
        outliers=count_outliers(values),
        drift=drift([unit.span.end_s for unit in warm], values),
        epoch_end_seen=unit == "epoch" or bool(warm_changes),
        waiting=_both(waiting, at_changes),
    )


def _with_changes(inside: Interval, extras_s: Sequence[float]) -> Interval:
    """An epoch's interval from that of its inside, and what changes of epochs take on top."""
    # laps that happened to be slow must not make an epoch look shorter than nothing
    extras = [max(extra, -inside.low / 2) for extra in extras_s]
    # a single change has no spread of its own, so its interval is a guess
    unsure = abs(extras[0]) * UNSURE_OF_ONE if len(extras) == 1 else 0.0
    return Interval(
        inside.median + statistics.median(extras),
        inside.low + min(extras) - unsure,
        inside.high + max(extras) + unsure,
        inside.count,
    )


def _cold_units(units: Sequence[_Unit], seen: Beside) -> int:
    """How many leading units are warm-up. Neither what the framework waited is, nor slowness that
    other programs may be the reason of."""
    values = [(unit.computed() if unit.waited_long else unit).value for unit in units]
    level = statistics.median(values[len(values) // 2 :])
    length = warm_up_length(values)
    for place, (unit, value) in enumerate(zip(units[:length], values, strict=False)):
        if seen.may_explain(unit.span, unit.lasted_s * (1 - level / value)):
            return place
    return length


def _without_waits(units: Sequence[_Unit], fewest: int) -> tuple[Sequence[_Unit], Waiting | None]:
    """The units in which the framework did not wait for long, if there are enough; otherwise all of
    them, what they waited taken off."""
    waited = [unit for unit in units if unit.waited_long]
    if not waited:
        return units, None
    seconds = sum(unit.waited_s for unit in waited)
    others = [unit for unit in units if not unit.waited_long]
    if len(others) >= fewest:
        return others, Waiting(len(waited), seconds, taken_off=False)
    return [unit.computed() for unit in units], Waiting(len(waited), seconds, taken_off=True)


def _both(inside: Waiting | None, at_changes: Waiting | None) -> Waiting | None:
    if inside is None or at_changes is None:
        return inside or at_changes
    return Waiting(
        inside.units + at_changes.units,
        inside.seconds + at_changes.seconds,
        inside.taken_off or at_changes.taken_off,
    )


def _whole_epochs(laps: Sequence[Lap], steps_per_epoch: int, seen: Beside) -> list[_Unit]:
    """One unit per whole epoch."""
    epochs = []
    start_ns = steps = 0
    for index, lap in enumerate(laps):
        steps += lap.steps
        last_of_epoch = index + 1 == len(laps) or laps[index + 1].epoch != lap.epoch
        if last_of_epoch:
            # one that was cut short (--steps, --quick) does not count
            if steps == steps_per_epoch:
                lasted_s = (lap.end_ns - start_ns) / NANOSECONDS
                span = Span(start_ns / NANOSECONDS, lap.end_ns / NANOSECONDS)
                waits_s = seen.waited_s(span), seen.unsure_s(span)
                epochs.append(_Unit(span, steps, lasted_s, *waits_s, lasted_s, lasted_s))
            start_ns, steps = lap.end_ns, 0
    return epochs


def _inside_epochs(
    laps: Sequence[Lap], steps_per_epoch: int, seen: Beside
) -> tuple[list[_Unit], list[_Unit]]:
    """Laps that lie inside an epoch as units, and the pairs of laps between which an epoch changes:
    summing up, reading the loss and shuffling happen in those."""
    starts_ns = [0, *(lap.end_ns for lap in laps)]
    changing = [
        index for index in range(1, len(laps)) if laps[index].epoch != laps[index - 1].epoch
    ]

    def unit_of(members: Sequence[int]) -> _Unit:
        steps = sum(laps[index].steps for index in members)
        lasted_s = sum((laps[index].end_ns - starts_ns[index]) / NANOSECONDS for index in members)
        spans = [
            Span(starts_ns[index] / NANOSECONDS, laps[index].end_ns / NANOSECONDS)
            for index in members
        ]
        whole, value = Span(spans[0].start_s, spans[-1].end_s), lasted_s / steps * steps_per_epoch
        waited_s = unsure_s = 0.0
        if seen.waits:
            waited_s, unsure_s = sum(map(seen.waited_s, spans)), seen.unsure_s(whole)
        return _Unit(whole, steps, lasted_s, waited_s, unsure_s, value, value)

    # both laps beside a change: it depends on the engine which of them pays for it
    changes = [unit_of((index - 1, index)) for index in changing]
    around = {*changing, *(index - 1 for index in changing)}
    kept = [index for index in range(len(laps)) if index not in around]
    group = max(1, math.ceil(len(kept) / MAX_UNITS))
    interior = [unit_of(kept[start : start + group]) for start in range(0, len(kept), group)]
    return interior, changes
