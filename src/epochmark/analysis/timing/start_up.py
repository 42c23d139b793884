"""The three clocks of a run: start-up, the first step, the steady epoch; from raw times."""

from __future__ import annotations

from dataclasses import dataclass

from epochmark.analysis.timing.beside import Span, beside
from epochmark.analysis.timing.headline import steady_of, steps_per_epoch
from epochmark.analysis.timing.intervals import RESOLUTION
from epochmark.analysis.timing.steady_epoch import NANOSECONDS, SteadyEpoch, epoch_seconds
from epochmark.records.record import Lap, Record, Timing


@dataclass(frozen=True)
class Clocks:
    """Seconds; None where a run did not come so far, or its engine ends no lap there.

    ``startup_s``: import, data, building the model; before the clock of the fit. ``first_step_s``:
    the first step, compilation included. ``smaller_batch_s``: what the first smaller batch, the
    last of an epoch, took more than the second: it is compiled again in some engines.
    ``warm_up_excess_s``: what everything before the steady part took beyond steady speed.
    ``first_epoch_excess_s``: what the first epoch alone did, the framework's waits left out.
    ``tidying_s``: from the end of the training until ``fit`` returned.
    """

    startup_s: float | None
    first_step_s: float | None
    smaller_batch_s: float | None
    warm_up_excess_s: float | None
    first_epoch_excess_s: float | None
    steady_epoch_s: float | None
    tidying_s: float | None


def clocks_of(record: Record) -> Clocks:
    """The clocks of a record."""
    laps = record.timing.laps
    steady = steady_of(record)
    return Clocks(
        startup_s=record.timing.startup_s,
        first_step_s=_seconds(laps, 0) if laps and laps[0].steps == 1 else None,
        smaller_batch_s=_smaller_batch_s(laps, steps_per_epoch(record.workload)),
        warm_up_excess_s=steady.warm_up_excess_s if steady else None,
        first_epoch_excess_s=_first_epoch_excess_s(record, steady) if steady else None,
        steady_epoch_s=record.headline.steady_epoch_s,
        tidying_s=_tidying_s(record.timing),
    )


def _first_epoch_excess_s(record: Record, steady: SteadyEpoch) -> float | None:
    """None where it took no longer than others, and of a run that settled, at another speed than it
    began with. Of a run within its first epoch it is all that was warm-up."""
    laps, per_epoch = record.timing.laps, steps_per_epoch(record.workload)
    if record.workload.settle:
        return None
    if laps[-1].epoch == 1 and sum(lap.steps for lap in laps) < per_epoch:
        return steady.warm_up_excess_s or None
    first_s = next(iter(epoch_seconds(laps, per_epoch)), 0.0)
    computed_s = first_s - beside(record).waited_s(Span(0.0, first_s))
    excess_s = computed_s - steady.interval.median
    return excess_s if excess_s > RESOLUTION * steady.interval.median else None


def _tidying_s(timing: Timing) -> float | None:
    if timing.fit_ns is None or timing.trained_ns is None:
        return None
    return max(0, timing.fit_ns - timing.trained_ns) / NANOSECONDS


def _seconds(laps: list[Lap], index: int) -> float:
    start_ns = laps[index - 1].end_ns if index else 0
    return (laps[index].end_ns - start_ns) / NANOSECONDS


def _smaller_batch_s(laps: list[Lap], per_epoch: int) -> float | None:
    """Last steps of the first two epochs, where they are laps of their own."""
    lasts = []
    for epoch in (1, 2):
        indices = [index for index, lap in enumerate(laps) if lap.epoch == epoch]
        steps = sum(laps[index].steps for index in indices)
        if steps != per_epoch or len(indices) < 2 or laps[indices[-1]].steps != 1:
            return None
        lasts.append(_seconds(laps, indices[-1]))
    return lasts[0] - lasts[1]
