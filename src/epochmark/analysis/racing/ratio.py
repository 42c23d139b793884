"""How long the entries of a race take for a sample, each beside the first entry.

The rules are explained in docs/measurement/racing.md; the coverage of the interval is measured by
benchmarks/race_coverage.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from epochmark.analysis.racing.signed_rank import located_ratio
from epochmark.analysis.racing.turns import Turn
from epochmark.analysis.timing.intervals import MIN_INTERVAL_VALUES, effective_count

FEWEST_PAIRS = MIN_INTERVAL_VALUES

MOST_VALUES = 1500
"""Of longer races neighbouring pairs are merged to this many: the estimate looks at every two."""


class RaceRatio(NamedTuple):
    """An entry's seconds per sample over the first entry's: above one it is slower. ``low`` to
    ``high`` is its 95 % interval, looks along the way included.

    ``pairs`` of turns were compared. Neighbours go together in as many ``autocorrelation_blocks``,
    each worth an independent pair.
    """

    ratio: float
    low: float
    high: float
    pairs: int
    autocorrelation_blocks: int

    @property
    def half_width(self) -> float:
        """Half the interval, as a share of the ratio."""
        return (self.high - self.low) / 2 / self.ratio


REFERENCE = RaceRatio(1.0, 1.0, 1.0, 0, 0)
"""The first entry beside itself."""


def ratios(turns: Sequence[Turn], entries: int) -> list[RaceRatio | None]:
    """The ratio of each entry; ``REFERENCE`` for the first, None where fewer than six pairs count.

    An entry's n-th turn is paired with the first entry's n-th: they lie in one round.
    """
    return [REFERENCE, *(ratio_of(log_ratios(turns, entry)) for entry in range(1, entries))]


def log_ratios(turns: Sequence[Turn], entry: int) -> list[float]:
    """Logarithms of the entry's time per sample over the first entry's, a pair of turns each, in
    the order of the race."""
    ours, firsts = ([turn for turn in turns if turn.entry == number] for number in (entry, 0))
    return [
        math.log(turn.compute_s / turn.samples) - math.log(first.compute_s / first.samples)
        for turn, first in zip(ours, firsts, strict=False)
        if turn.counts and first.counts
    ]


def ratio_of(logs: Sequence[float]) -> RaceRatio | None:
    """The ratio that these paired log ratios estimate; None for fewer than six."""
    if len(logs) < FEWEST_PAIRS:
        return None
    merged = logs if len(logs) <= MOST_VALUES else _merged(logs)
    blocks = max(FEWEST_PAIRS, round(effective_count(merged)))
    found = located_ratio(merged, blocks)
    return RaceRatio(found.median, found.low, found.high, len(logs), blocks)


def _merged(logs: Sequence[float]) -> list[float]:
    """Means of neighbours."""
    return [float(part.mean()) for part in np.array_split(np.asarray(logs), MOST_VALUES)]
