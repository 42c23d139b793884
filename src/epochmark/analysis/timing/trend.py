"""Does a series change over time, and by how much at most? Pure functions.

They are explained in docs/measurement/steady-epoch.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

MIN_DRIFT_UNITS = 6
DRIFT_STRETCHES = 8
"""Means of this many equal stretches are scored where a series is long: neighbours in it go
together, stretches hardly do."""
CHANGE_Z = 1.28
"""Two-sided 80 % of a normal distribution, for the interval of the change."""

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Drift:
    """How much a series changed from its first to its last value, as a share of its median, by the
    Theil-Sen slope; ``z`` is the Mann-Kendall score, normal when there is no trend.

    ``low`` to ``high`` is the 80 % interval of the change: where it holds zero, a trend cannot
    be distinguished from fluctuation.
    """

    change: float
    z: float
    low: float
    high: float


def drift(ends_s: Sequence[float], values: Sequence[float]) -> Drift | None:
    """Trend of positive ``values`` over their times; None for fewer than ``MIN_DRIFT_UNITS``.

    Slope: median over all pairs (Theil 1950, Sen 1968). Score and interval (ranks of the slopes,
    Sen 1968): of the means of ``DRIFT_STRETCHES`` equal stretches where there are two values for
    each: a variance widened for autocorrelation instead (Hamed and Rao 1998) takes the bend of a
    machine that slows down to its limit for autocorrelation, and does not see it.
    """
    count = len(values)
    if count < MIN_DRIFT_UNITS:
        return None
    times, series = np.asarray(ends_s, np.float64), np.asarray(values, np.float64)
    share = float(times[-1] - times[0]) / statistics.median(values)
    change = share * slope(times, series)
    if count >= 2 * DRIFT_STRETCHES:
        times, series = _stretches(times), _stretches(series)
    slopes, sigma = np.sort(_slopes(times, series)), _score_sigma(len(series))
    # ranks of the slopes between which the true one lies (Sen 1968), rounded outwards
    outside = max(0, int((len(slopes) - CHANGE_Z * sigma) / 2) - 1)
    low, high = share * float(slopes[outside]), share * float(slopes[-1 - outside])
    score = float(np.sign(slopes).sum())
    # continuity correction: the score moves in steps of two
    return Drift(change, math.copysign(max(abs(score) - 1, 0.0), score) / sigma, low, high)


def slope(at_s: Sequence[float] | Floats, values: Sequence[float] | Floats) -> float:
    """How much two values or more change in a second: the median over all pairs of them."""
    return float(np.median(_slopes(np.asarray(at_s, np.float64), np.asarray(values, np.float64))))


def _slopes(times: Floats, series: Floats) -> Floats:
    """Of all pairs."""
    earlier, later = np.triu_indices(len(series), 1)
    slopes: Floats = (series[later] - series[earlier]) / (times[later] - times[earlier])
    return slopes


def _stretches(series: Floats) -> Floats:
    return np.array([part.mean() for part in np.array_split(series, DRIFT_STRETCHES)])


def _score_sigma(count: int) -> float:
    """Standard deviation of the score of that many values without a trend (Kendall 1975)."""
    return math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
