"""The Hodges-Lehmann estimate of a location, with the interval of Wilcoxon's signed-rank test.

Both are in Hollander and Wolfe, Nonparametric Statistical Methods, 3.2 and 3.3. They assume that
the values lie symmetrically, and mind neither their distribution nor a few far ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from statistics import NormalDist

import numpy as np

from epochmark.analysis.timing.intervals import CONFIDENCE, MIN_INTERVAL_VALUES, Interval

MOST_EXACT = 60
"""Up to this many values the distribution of the rank sum is computed; of more it is normal, as
near as a rank in a hundred."""


def located(values: Sequence[float], draws: int | None = None) -> Interval:
    """Median of the means of all two values, each with itself as well, and its 95 % interval.

    ``draws`` is how many independent values they are worth, all by default and six at least: the
    interval lies where it would among the means of that many. Raises ``ValueError`` for fewer than
    six values: none has such an interval.
    """
    count = len(values)
    if count < MIN_INTERVAL_VALUES:
        raise ValueError(f"{count} values have no interval, {MIN_INTERVAL_VALUES} have")
    series = np.asarray(values, np.float64)
    earlier, later = np.triu_indices(count)
    means = np.sort((series[earlier] + series[later]) / 2)
    draws = count if draws is None else draws
    rank = smallest_rank(draws) * len(means) // (draws * (draws + 1) // 2)
    low, high = float(means[rank - 1]), float(means[-rank])
    return Interval(float(np.median(means)), low, high, count)


def located_ratio(logs: Sequence[float], draws: int | None = None) -> Interval:
    """The ratio whose logarithm paired log ratios estimate, with its interval."""
    found = located(logs, draws)
    middle, low, high = (math.exp(log) for log in (found.median, found.low, found.high))
    return Interval(middle, low, high, found.count)


@cache
def smallest_rank(count: int) -> int:
    """The largest k with ``2 P(T < k) <= 5 %``, T the sum of positive ranks of as many values: the
    interval reaches from the k-th smallest of their pairwise means to the k-th largest."""
    if count > MOST_EXACT:
        return _normal_rank(count)
    chances = np.ones(1)
    for rank in range(1, count + 1):
        longer = np.zeros(len(chances) + rank)
        longer[: len(chances)] += chances / 2
        longer[rank:] += chances / 2
        chances = longer
    return int(np.searchsorted(2 * np.cumsum(chances), 1 - CONFIDENCE, side="right"))


def _normal_rank(count: int) -> int:
    """By the mean and the variance of T, corrected for steps of one."""
    mean, variance = count * (count + 1) / 4, count * (count + 1) * (2 * count + 1) / 24
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return math.floor(mean + 0.5 - z * math.sqrt(variance))
