"""Intervals of medians and means that respect autocorrelation, and outliers: pure functions.

Every rule, threshold and source is explained in docs/measurement/steady-epoch.md; the coverage of
the interval is measured by benchmarks/interval_coverage.py.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

CONFIDENCE = 0.95

MAD_TO_SIGMA = 1.4826
"""Median absolute deviation to standard deviation, of a normal distribution."""

FAR_SIGMAS = 3.0
"""Robust standard deviations, as for warm-up. (Iglewicz and Hoaglin, How to Detect and Handle
Outliers, 1993, have 3.5; the interval holds as often with either.)"""

RESOLUTION = 0.005
"""Spread is never taken for less than half a percent of the median, so that a series steadier than
any training is does not turn its last digits into warm-up or outliers."""

MIN_INTERVAL_VALUES = 6
"""Below six values no interval of order statistics reaches 95 %."""

STRETCHES = 12

MIN_STRETCH_VALUES = 5
"""Of a series that changes slowly, the levels of this many stretches show how far it moves, and the
noise of single values does not widen the interval."""

MAX_AUTOCORRELATION = 0.95

MIN_BLOCKS = 10
"""Blocking stops while this many blocks are left to take an autocorrelation of."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """A median (of laps: their mean) with the interval around it, in the unit of the values."""

    median: float
    low: float
    high: float
    count: int


def median_interval(values: Sequence[float]) -> Interval:
    """Median with a 95 % interval from order statistics that respects autocorrelation.

    The interval ``[x(k), x(n+1-k)]`` covers the median of n independent draws with probability
    ``1 - 2 P(B < k)``, B binomial(n, 1/2) (Conover, Practical Nonparametric Statistics, 3.2). k is
    the largest that keeps 95 % for the *effective* number of independent draws, scaled back to n.
    Where that is below six, see ``_slow_range``. One far value is no end of it
    (``_without_far``). Raises ``ValueError`` for no values.
    """
    if not values:
        raise ValueError("no values to take a median of")
    median = statistics.median(values)
    near = _without_far(values, median)
    ordered, count = sorted(near), len(near)
    effective = int(effective_count(near))
    if effective < MIN_INTERVAL_VALUES:
        low, high = _slow_range(near, np.median)
    else:
        rank = interval_rank(effective)
        # from the rank in that many effective values to that in all; rank 1 stays: it is the range
        rank = rank * count // effective if rank > 1 else 1
        low, high = ordered[rank - 1], ordered[count - rank]
    return Interval(median, min(low, median), max(high, median), len(values))


def _without_far(values: Sequence[float], median: float) -> Sequence[float]:
    """The values without the farthest, if it is far: what happens once says nothing about the
    median, and the range of few values would end at it. Several far values are a spread of their
    own. All values where too few would remain."""
    farthest = max(range(len(values)), key=lambda n: abs(values[n] - median))
    is_far = abs(values[farthest] - median) > FAR_SIGMAS * robust_spread(values)
    if not is_far or len(values) <= MIN_INTERVAL_VALUES:
        return values
    return [*values[:farthest], *values[farthest + 1 :]]


def mean_interval(values: Sequence[float], weights: Sequence[float]) -> Interval:
    """Weighted mean with a 95 % interval that respects autocorrelation, within the values' range.

    Student's interval of a mean, for the *effective* number of independent draws; where that is
    below six, see ``_slow_range``. Raises ``ValueError`` for no values.
    """
    if not values:
        raise ValueError("no values to take a mean of")
    least, most = min(values), max(values)
    # rounding may put the mean of equal values beside them
    mean = min(max(float(np.average(values, weights=weights)), least), most)
    effective = int(effective_count(values))
    if effective < MIN_INTERVAL_VALUES:
        low, high = _slow_range(values, np.mean)
        # a weighted mean may lie outside the unweighted means of the stretches
        return Interval(mean, min(low, mean), max(high, mean), len(values))
    reach = student_quantile(effective - 1) * statistics.stdev(values) / math.sqrt(effective)
    return Interval(mean, max(mean - reach, least), min(mean + reach, most), len(values))


def _slow_range(
    values: Sequence[float], level: Callable[[Floats], np.floating[Any]]
) -> tuple[float, float]:
    """Of a series that changes slowly: the range of the levels of ``STRETCHES`` equal stretches,
    or of all values if they are too few for that."""
    if len(values) < STRETCHES * MIN_STRETCH_VALUES:
        return min(values), max(values)
    levels = [float(level(part)) for part in np.array_split(np.asarray(values), STRETCHES)]
    return min(levels), max(levels)


def student_quantile(degrees: int) -> float:
    """Of Student's t distribution, two-sided 95 %: within 0.003 from five degrees of freedom on
    (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.7.5)."""
    z = statistics.NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    return (
        z
        + (z**3 + z) / (4 * degrees)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * degrees**3)
    )


def interval_rank(count: int) -> int:
    """The largest k for which the k-th lowest and k-th highest of ``count`` independent draws hold
    the median between them with 95 %; 1, their range, below six. In logarithms: the binomial
    coefficients of a long run are no floats any more."""
    # ten standard deviations below the middle nothing adds up to a digit of the sum
    rank, below = max(0, int(count / 2 - 5 * math.sqrt(count))), 0.0
    while True:
        log_comb = math.lgamma(count + 1) - math.lgamma(rank + 1) - math.lgamma(count - rank + 1)
        # probability that at most `rank` values lie below the median
        below += math.exp(log_comb - count * math.log(2))
        if 2 * below > 1 - CONFIDENCE:
            return max(1, rank)
        rank += 1


def effective_count(values: Sequence[float]) -> float:
    """How many independent values carry as much as this autocorrelated series: 1 to its length.

    The long-run variance of the series' ranks is estimated as that of a first-order autoregressive
    process, on the series and on averages of 2, 4, 8 ... neighbours (Flyvbjerg and Petersen, J.
    Chem. Phys. 91, 1989), and the largest is taken: slow changes under fast noise only show in the
    averages. Ranks, since the median is one and outliers must not hide the rest.
    """
    count = len(values)
    blocks: Floats = np.unique(values, return_inverse=True)[1].astype(np.float64)
    variance, size, inflation = float(blocks.var()), 1, 1.0
    if variance == 0.0:
        return float(count)
    while True:
        # that of a first-order process; times `size`, since means of `size` values vary less
        rho = _lag_one(blocks)
        long_run = float(blocks.var()) * size * (1 + rho) / (1 - rho)
        inflation = max(inflation, long_run / variance)
        if len(blocks) < 2 * MIN_BLOCKS:
            return max(1.0, count / inflation)
        # fast noise averages out in pairs of neighbours, a slow change stays
        pairs = len(blocks) // 2
        blocks, size = blocks[: 2 * pairs].reshape(pairs, 2).mean(axis=1), size * 2


def _lag_one(values: Floats) -> float:
    """Lag-one autocorrelation, its bias of ``-(1 + 4 rho) / n`` (Kendall, Biometrika 41, 1954)
    taken back; 0 where it is negative, which would only make the interval narrower."""
    centred = values - values.mean()
    power = float(centred @ centred)
    if power == 0.0:
        return 0.0
    rho = float(centred[1:] @ centred[:-1]) / power
    return min(max(rho + (1 + 4 * rho) / len(values), 0.0), MAX_AUTOCORRELATION)


def count_outliers(values: Sequence[float]) -> int:
    """Values further from the median than ``FAR_SIGMAS`` robust standard deviations."""
    level, limit = statistics.median(values), FAR_SIGMAS * robust_spread(values)
    return sum(abs(value - level) > limit for value in values)


def robust_spread(values: Sequence[float]) -> float:
    """Robust standard deviation, in the unit of the values, at least ``RESOLUTION``."""
    level = statistics.median(values)
    mad = statistics.median(abs(value - level) for value in values)
    return max(MAD_TO_SIGMA * mad, RESOLUTION * level)
