"""How often does the 95 % interval of the steady epoch hold the true median? By simulation.

Series with a known median of the kinds that laps show: independent, autocorrelated (AR(1)), slow
changes under fast noise, with skewed noise and with outliers. Beside our interval stands what was
tried instead: plain order statistics (no regard to autocorrelation) and the stationary block
bootstrap of Politis and Romano (1994) with the automatic block length of Politis and White (2004).
Then false alarms of drift, warm-up and outliers are counted in series without any, and how noisy
laps may be before a quick run is found unsteady.

Run: python benchmarks/interval_coverage.py   (about four minutes)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from epochmark.bench.disturbances import UNSTEADY_SHARE
from epochmark.results.statistics import (
    QUICK_PRECISION,
    Floats,
    count_outliers,
    median_interval,
    warm_up_length,
)
from epochmark.results.trend import drift

SERIES = 1000
BOOTSTRAP_SERIES = 300
RESAMPLES = 300
LEVEL = 100.0
LENGTHS = (6, 9, 20, 60, 200)
QUICK_LAPS = 60
"""Of a quick run whose epochs take 6 s, at four laps a second."""
Interval = tuple[float, float]
Maker = Callable[[int, np.random.Generator], Floats]


def autoregressive(rho: float, skewed: bool = False) -> Maker:
    """AR(1) noise of standard deviation 1 around ``LEVEL``; skewed: exponential of it."""

    def make(count: int, random: np.random.Generator) -> Floats:
        noise = random.standard_normal(count + 200)
        for index in range(1, len(noise)):
            noise[index] = rho * noise[index - 1] + math.sqrt(1 - rho * rho) * noise[index]
        noise = noise[200:]
        return LEVEL + (np.exp(noise) - 1 if skewed else noise)

    return make


def slow_under_fast(rho: float, share: float) -> Maker:
    """A slow AR(1) part with this share of the variance, the rest white."""

    def make(count: int, random: np.random.Generator) -> Floats:
        slow = autoregressive(rho)(count, random) - LEVEL
        white = random.standard_normal(count)
        return LEVEL + math.sqrt(share) * slow + math.sqrt(1 - share) * white

    return make


def with_outliers(count: int, random: np.random.Generator) -> Floats:
    """White noise; one value in twenty is far above."""
    values = LEVEL + random.standard_normal(count)
    far = random.random(count) < 0.05
    # outliers come from values above the median, so that the true median stays where it is
    return np.where(far & (values > LEVEL), values + 20, values)


KINDS: dict[str, Maker] = {
    "independent": autoregressive(0.0),
    "independent, skewed": autoregressive(0.0, skewed=True),
    "outliers": with_outliers,
    "AR(1) 0.3": autoregressive(0.3),
    "AR(1) 0.6": autoregressive(0.6),
    "AR(1) 0.8, skewed": autoregressive(0.8, skewed=True),
    "AR(1) 0.9": autoregressive(0.9),
    "slow 0.9, half": slow_under_fast(0.9, 0.5),
    "slow 0.95, quarter": slow_under_fast(0.95, 0.25),
}


def ours(values: Floats) -> Interval:
    found = median_interval(values.tolist())
    return found.low, found.high


def plain(values: Floats) -> Interval:
    """Order statistics as if the values were independent."""
    ordered, count = np.sort(values), len(values)
    rank, tail = 1, 0.5**count
    while 2 * (tail + math.comb(count, rank) * 0.5**count) <= 0.05:
        tail += math.comb(count, rank) * 0.5**count
        rank += 1
    return float(ordered[rank - 1]), float(ordered[count - rank])


def block_length(values: Floats) -> float:
    """Politis and White (2004) for the stationary bootstrap, on the signs around the median."""
    count = len(values)
    signs = np.where(values > np.median(values), 1.0, -1.0)
    signs -= signs.mean()
    run = max(5, math.ceil(math.sqrt(math.log10(count))))
    lags = min(math.ceil(math.sqrt(count)) + run, count - 2)
    covariance = np.array([signs[k:] @ signs[: count - k] / count for k in range(lags + 1)])
    if covariance[0] == 0:
        return 1.0
    small = np.abs(covariance / covariance[0]) < 2 * math.sqrt(math.log10(count) / count)
    quiet = [k for k in range(1, len(small) - run + 1) if small[k : k + run].all()]
    cut = min(2 * max(1, quiet[0] - 1 if quiet else lags // 2), lags)
    k = np.arange(1, cut + 1)
    window = np.where(k / cut <= 0.5, 1.0, 2 * (1 - k / cut))
    g = 2 * float(window * k @ covariance[1 : cut + 1])
    d = 2 * float(covariance[0] + 2 * (window @ covariance[1 : cut + 1])) ** 2
    longest = min(3 * math.sqrt(count), count / 3)
    return min(max((2 * g * g / d) ** (1 / 3) * count ** (1 / 3), 1.0), longest) if d else longest


def bootstrap(values: Floats) -> Interval:
    """Percentiles of the medians of stationary-bootstrap series."""
    count, random = len(values), np.random.default_rng(1)
    shape = (RESAMPLES, count)
    new = random.random(shape) < 1 / block_length(values)
    new[:, 0] = True
    began = np.maximum.accumulate(np.where(new, np.arange(count), 0), axis=1)
    starts = np.take_along_axis(random.integers(0, count, shape), began, axis=1)
    medians = np.median(values[(starts + np.arange(count) - began) % count], axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    return float(low), float(high)


def coverage(make: Maker, count: int, interval: Callable[[Floats], Interval], series: int) -> str:
    """Share of series whose interval holds the median, and the mean width in sigmas."""
    random = np.random.default_rng(count)
    found = [interval(make(count, random)) for _ in range(series)]
    held = sum(low <= LEVEL <= high for low, high in found)
    width = sum(high - low for low, high in found) / series
    return f"{held / series:5.1%} {width:5.2f}"


def print_coverage() -> None:
    print("coverage of the true median, and mean width in standard deviations")
    print(f"{'series':22}{'n':>4}   {'ours':15}{'plain':15}{'block bootstrap':15}")
    for name, make in KINDS.items():
        for count in LENGTHS:
            texts = [
                coverage(make, count, ours, SERIES),
                coverage(make, count, plain, SERIES),
                coverage(make, count, bootstrap, BOOTSTRAP_SERIES) if count >= 20 else "-",
            ]
            print(
                f"{name:22}{count:>4}   " + "".join(f"{text:15}" for text in texts).rstrip(),
                flush=True,
            )


def print_quick() -> None:
    """Coverage when a series ends as soon as its interval is within 1 %, as a quick run does."""
    print("\ncoverage when stopped at one of five looks (34 to 50 values, 2 % noise)")
    print(f"{'series':22}{'held':10}{'stopped early':15}{'mean values':12}")
    looks = (34, 36, 38, 40, 50)
    for name, make in KINDS.items():
        random = np.random.default_rng(1)
        held = early = used = 0
        for _ in range(SERIES):
            values = LEVEL + 2 * (make(looks[-1], random) - LEVEL)
            for count in looks:
                found = median_interval(values[:count].tolist())
                if (found.high - found.low) / 2 / found.median <= QUICK_PRECISION:
                    break
            held += found.low <= LEVEL <= found.high
            early += count < looks[-1]
            used += count
        print(f"{name:22}{held / SERIES:<10.1%}{early / SERIES:<15.1%}{used / SERIES:<12.1f}")


def print_false_alarms() -> None:
    print("\nfalse alarms in series of 2 % noise without drift or warm-up")
    print(f"{'series':22}{'n':>4}   {'|z| > 2.58':12}{'and > 5 %':12}{'warm-up':10}{'outliers':10}")
    for name in ("independent", "AR(1) 0.6", "AR(1) 0.9"):
        for count in (9, 60, 200):
            random = np.random.default_rng(count)
            scored = drifted = warm = outliers = 0
            for _ in range(SERIES):
                values = (LEVEL + 2 * (KINDS[name](count, random) - LEVEL)).tolist()
                trend = drift([float(n) for n in range(count)], values)
                if trend is not None and abs(trend.z) > 2.58:
                    scored += 1
                    drifted += abs(trend.change) > 0.05
                warm += warm_up_length(values) > 0
                outliers += count_outliers(values)
            shares = (scored / SERIES, drifted / SERIES, warm / SERIES, outliers / SERIES / count)
            print(
                f"{name:22}{count:>4}   " + "".join(f"{share:<11.1%} " for share in shares).rstrip()
            )


def print_unsteady() -> None:
    """Up to which noise of its laps a machine is steady enough for a quick run."""
    noises = (2, 5, 10, 15, 20)
    print(f"\nfound unsteady ({QUICK_LAPS} laps), by the standard deviation of a lap")
    print(f"{'series':22}" + "".join(f"{noise} %".ljust(9) for noise in noises))
    for name, make in KINDS.items():
        random = np.random.default_rng(1)
        unsteady = dict.fromkeys(noises, 0)
        for _ in range(SERIES):
            values = make(QUICK_LAPS, random) - LEVEL
            for noise in noises:
                found = median_interval((LEVEL + noise * values).tolist())
                half = (found.high - found.low) / 2 / found.median
                unsteady[noise] += half > UNSTEADY_SHARE
        print(f"{name:22}" + "".join(f"{n / SERIES:<9.1%}" for n in unsteady.values()).rstrip())


if __name__ == "__main__":
    print_coverage()
    print_quick()
    print_false_alarms()
    print_unsteady()
