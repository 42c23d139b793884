"""Is an entry of a race slower than the first by more than is allowed?"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from epochmark.analysis.comparing.regression import verdict_on
from epochmark.analysis.racing.ratio import RaceRatio
from epochmark.analysis.timing.intervals import Interval


class GateVerdict(Enum):
    """What a gate says of all entries together."""

    PASS = "pass"
    FAIL = "fail"
    STRADDLES = "straddles"


def gate(ratios: Sequence[RaceRatio | None], tolerance: float) -> GateVerdict:
    """FAIL if the whole interval of an entry is slower than the first by more than ``tolerance``, a
    share; PASS if no interval reaches beyond it; else, or where a ratio is unknown, STRADDLES."""
    verdicts = {
        "undecided" if ratio is None else verdict_on(_interval(ratio), tolerance)
        for ratio in ratios
    }
    if "slower" in verdicts:
        return GateVerdict.FAIL
    return GateVerdict.STRADDLES if "undecided" in verdicts else GateVerdict.PASS


def _interval(ratio: RaceRatio) -> Interval:
    return Interval(ratio.ratio, ratio.low, ratio.high, ratio.pairs)
