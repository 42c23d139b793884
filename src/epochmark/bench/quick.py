"""When does a quick run know enough? Decided by the launcher, from the laps as they come in.

The rule is in docs/measurement/timing.md, its simulated coverage in experiments.md beside it.
"""

from __future__ import annotations

from epochmark.analysis.timing.intervals import MIN_INTERVAL_VALUES
from epochmark.analysis.timing.steady_epoch import (
    NANOSECONDS,
    QUICK_BUDGET_S,
    QUICK_EPOCHS,
    QUICK_PRECISION,
    QUICK_SHARE,
    steady_epoch,
)
from epochmark.judge.disturbances import is_unsteady
from epochmark.records.record import Lap
from epochmark.worker import protocol

LOOKS_PER_EPOCH = 8
"""The interval is looked at only that often: looking all the time would stop at a lucky moment."""
MIN_EPOCHS = 2
"""The change to the second epoch may compile for the smaller last batch, the next shows what every
change takes."""
MIN_S = 3.0
"""Fast devices train that long, however many epochs it takes, up to their share of the run."""


class QuickStop:
    """Fed with every report of the worker; says whether the fit should end now."""

    def __init__(self, steps_per_epoch: int, epochs: int) -> None:
        self._steps_per_epoch = steps_per_epoch
        self._most_steps = QUICK_SHARE * steps_per_epoch * epochs
        self._laps: list[Lap] = []
        self._steps = 0
        self._looks = MIN_EPOCHS * LOOKS_PER_EPOCH
        self._stopping = False

    def __call__(self, report: protocol.Message) -> bool:
        """True once: when the report is the lap after which the fit should end."""
        if self._stopping or not isinstance(report, protocol.LapEnd):
            return False
        self._laps.append(Lap(epoch=report.epoch, steps=report.steps, end_ns=report.end_ns))
        self._steps += report.steps
        elapsed_s = report.end_ns / NANOSECONDS
        must_end = elapsed_s >= QUICK_BUDGET_S or self._has_done_its_share(report.steps)
        # the lap after this one is the last
        has_laps = len(self._laps) + 1 >= MIN_INTERVAL_VALUES
        self._stopping = (must_end and has_laps) or self._knows_enough(elapsed_s)
        return self._stopping

    def _has_done_its_share(self, lap_steps: int) -> bool:
        """Whether one more lap may be trained, but not two."""
        return self._steps + 2 * lap_steps > self._most_steps

    def _knows_enough(self, elapsed_s: float) -> bool:
        """At the fixed points: the end of an epoch was seen and the interval is narrow enough; or
        its share of the work is done and the figure is one that can be used."""
        due = self._steps * LOOKS_PER_EPOCH // self._steps_per_epoch
        # before the next fixed look; several may have passed in one long lap, which count as one
        if due <= self._looks:
            return False
        self._looks = due
        steady = steady_epoch(self._laps, self._steps_per_epoch)
        if steady is None:
            return False
        if self._steps >= QUICK_EPOCHS * self._steps_per_epoch and elapsed_s >= MIN_S:
            return steady.knows_its_spread and not is_unsteady(steady)
        return (
            steady.knows_its_spread
            and steady.epoch_end_seen
            and steady.half_width <= QUICK_PRECISION
        )


def seconds_left(
    steps_per_epoch: int, epochs: int, steps: int, elapsed_s: float, step_s: float
) -> float:
    """How long a quick run of that many ``epochs`` still takes after ``steps`` of ``step_s``
    each, if its figure can be used then; one that ran past that goes on to the end of its budget,
    or of its share of the work, at most."""
    due_s = max(MIN_S, elapsed_s + (QUICK_EPOCHS * steps_per_epoch - steps) * step_s)
    if due_s <= elapsed_s:
        due_s = QUICK_BUDGET_S
    share_s = elapsed_s + (QUICK_SHARE * steps_per_epoch * epochs - steps) * step_s
    return max(0.0, min(due_s, share_s, QUICK_BUDGET_S) - elapsed_s)
