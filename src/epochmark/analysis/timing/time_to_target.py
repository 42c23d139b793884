"""When a run had learned well enough: MLPerf's metric, from raw laps; a pure function."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.records.record import Lap
from epochmark.workloads.spec import Target


def time_to_target_s(
    laps: Sequence[Lap], steps_per_epoch: int, target: Target | None
) -> float | None:
    """Seconds from the start of the clock to the end of the first whole epoch whose mean training
    loss is at most the target's; None where no epoch came so far, or there is no target.

    Every engine says its loss at the end of an epoch. Where some say it more often, looking there
    too would let these reach the target earlier, by luck.
    """
    if target is None:
        return None
    for _, group in groupby(laps, key=lambda lap: lap.epoch):
        epoch = list(group)
        loss, whole = epoch[-1].loss, sum(lap.steps for lap in epoch) == steps_per_epoch
        if whole and loss is not None and loss <= target.loss:
            return epoch[-1].end_ns / NANOSECONDS
    return None
