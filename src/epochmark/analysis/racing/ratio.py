"""How long the entries of a race take for a sample, each beside the first entry.

The rules are explained in docs/measurement/racing.md; the coverage of the interval is measured by
benchmarks/race_coverage.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from epochmark.analysis.racing.signed_rank import located
from epochmark.analysis.racing.turns import Turn
from epochmark.analysis.timing.intervals import MIN_INTERVAL_VALUES, effective_count

FEWEST_PAIRS = MIN_INTERVAL_VALUES

NOMINAL = 0.97
"""What the signed-rank test is asked for, so that 95 % of the races' intervals hold the ratio: who
stops as soon as an interval is narrow stops more often at one that is too narrow."""


class RaceRatio(NamedTuple):
    """An entry's seconds per sample over the first entry's: above one it is slower. ``low`` to
    ``high`` is its 95 % interval, looks along the way included.

    ``pairs`` of turns were compared, in as many blocks of neighbours as ``autocorrelation_blocks``.
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
    """One for each entry; ``REFERENCE`` for the first, None where fewer than six pairs count.

    An entry's n-th turn is paired with the first entry's n-th: they lie in one round.
    """
    return [REFERENCE, *(ratio_of(log_ratios(turns, entry)) for entry in range(1, entries))]


def log_ratios(turns: Sequence[Turn], entry: int) -> list[float]:
    """Logarithms of the entry's time per sample over the first entry's, a pair of turns each, in
    the order of the race."""
    return list(_log_ratios(turns, entry))


def _log_ratios(turns: Sequence[Turn], entry: int) -> Iterator[float]:
    ours = [turn for turn in turns if turn.entry == entry]
    firsts = [turn for turn in turns if turn.entry == 0]
    for one, first in zip(ours, firsts, strict=False):
        if one.counts and first.counts:
            yield math.log(one.compute_s / one.samples) - math.log(first.compute_s / first.samples)


def ratio_of(logs: Sequence[float]) -> RaceRatio | None:
    """The ratio that these paired log ratios estimate; None for fewer than six."""
    if len(logs) < FEWEST_PAIRS:
        return None
    blocks = _blocks(logs)
    found = located(blocks, NOMINAL)
    middle, low, high = (math.exp(log) for log in (found.median, found.low, found.high))
    return RaceRatio(middle, low, high, len(logs), len(blocks))


def _blocks(logs: Sequence[float]) -> list[float]:
    """Means of neighbours, as many together as one independent value is worth."""
    length = max(1, round(len(logs) / effective_count(logs)))
    count = max(FEWEST_PAIRS, len(logs) // length)
    return [float(block.mean()) for block in np.array_split(np.asarray(logs), count)]
