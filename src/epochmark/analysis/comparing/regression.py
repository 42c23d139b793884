"""Is a run slower than an earlier one by more than is allowed? For whoever hunts regressions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from epochmark.analysis.comparing.comparison import Comparison, Side
from epochmark.analysis.timing.intervals import Interval

Verdict = Literal["slower", "within", "undecided"]


@dataclass(frozen=True)
class Regression:
    """``times_as_long``: the later side's epoch over the earlier one's; None where the two are not
    comparable. ``allowed`` is a share: 0.03 allows 1.03 times as long."""

    allowed: float
    times_as_long: Interval | None
    verdict: Verdict


def regression(comparison: Comparison, earlier: Side, allowed: float) -> Regression:
    """Slower if the whole interval lies beyond what is allowed, within if none of it does, else
    undecided; so are runs that are not valid, or not comparable."""
    sides = (comparison.faster, comparison.slower)
    sound = all(side.unfit is None and side.doubt is None for side in sides)
    ratio = comparison.speed_of(earlier) if sound else None
    if ratio is None:
        return Regression(allowed, None, "undecided")
    return Regression(allowed, ratio, verdict_on(ratio, allowed))


def verdict_on(times_as_long: Interval, allowed: float) -> Verdict:
    """Of the interval alone."""
    if times_as_long.low > 1 + allowed:
        return "slower"
    return "within" if times_as_long.high <= 1 + allowed else "undecided"
