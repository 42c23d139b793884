"""How often does the 95 % interval of the steady epoch hold the truth? By simulation.

Series with a known median and mean of the kinds that epochs and laps show: independent,
autocorrelated (AR(1)), slow changes under fast noise, with skewed noise and with outliers. Beside
our two intervals stands what was tried instead for the median: plain order statistics (no regard to
autocorrelation) and the stationary block bootstrap of Politis and Romano (1994) with the automatic
block length of Politis and White (2004).

Then runs of ten epochs of which one is far, with and without the rule for those. Then whole runs
are made up of such laps, and a quick run of each is ended by the tool's own rule: how often does
the projected interval hold the elapsed time of the whole run? At last false alarms: of drift,
warm-up and outliers in series without any, and of `unsteady` by the noise of the laps.

Run: python benchmarks/interval_coverage.py   (about five minutes)
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from epochmark.analysis.timing.intervals import (
    MIN_INTERVAL_VALUES,
    Floats,
    count_outliers,
    effective_count,
    mean_interval,
    median_interval,
)
from epochmark.analysis.timing.steady_epoch import QUICK_EPOCHS, steady_epoch, warm_up_length
from epochmark.analysis.timing.trend import drift
from epochmark.bench.quick import QuickStop
from epochmark.judge.disturbances import UNSTEADY_SHARE
from epochmark.records.record import Lap
from epochmark.worker import protocol

SERIES = 1000
BOOTSTRAP_SERIES = 300
RESAMPLES = 300
LEVEL = 100.0
LENGTHS = (6, 9, 20, 60, 200)
QUICK_LAPS = 60
"""Of a quick run whose epochs take 6 s, at four laps a second."""
EPOCHS, LAPS_AN_EPOCH, STEPS_A_LAP = 10, 16, 29
EPOCH_S = 4.0
FIRST_LAP_S, CHANGE_S, CHANGE_SHARE = 1.0, 0.05, 0.3
"""Of a made-up run: what compiling and a change of epochs take on top, and how far changes differ
from each other."""
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


MEANS = {
    "independent, skewed": LEVEL + math.exp(0.5) - 1,
    "AR(1) 0.8, skewed": LEVEL + math.exp(0.5) - 1,
    "outliers": LEVEL + 0.5 * 0.05 * 20,
}
"""Where the mean is not ``LEVEL``, which all medians are."""


def ours(values: Floats) -> Interval:
    found = median_interval(values.tolist())
    return found.low, found.high


def ours_of_mean(values: Floats) -> Interval:
    found = mean_interval(values.tolist(), [1] * len(values))
    return found.low, found.high


def plain(values: Floats) -> Interval:
    """Order statistics as if the values were independent."""
    return by_rank(values, len(values))


def by_effective_number(values: Floats) -> Interval:
    """Ours, but for the rule that few far values are no end of it."""
    effective = int(effective_count(values.tolist()))
    return by_rank(values, effective) if effective >= MIN_INTERVAL_VALUES else by_rank(values, 1)


def by_rank(values: Floats, draws: int) -> Interval:
    """As many independent draws have it, scaled to the values there are; the range at least."""
    ordered, count = np.sort(values), len(values)
    rank, tail = 1, 0.5**draws
    while 2 * (tail + math.comb(draws, rank) * 0.5**draws) <= 0.05:
        tail += math.comb(draws, rank) * 0.5**draws
        rank += 1
    rank = rank * count // draws if rank > 1 else 1
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


def coverage(
    make: Maker, count: int, interval: Callable[[Floats], Interval], series: int, truth: float
) -> str:
    """Share of series whose interval holds the truth, and the mean width in sigmas."""
    random = np.random.default_rng(count)
    found = [interval(make(count, random)) for _ in range(series)]
    held = sum(low <= truth <= high for low, high in found)
    width = sum(high - low for low, high in found) / series
    return f"{held / series:5.1%} {width:5.2f}"


def print_row(name: str, *cells: object) -> None:
    print((f"{name:30}" + "".join(f"{cell:<15}" for cell in cells)).rstrip(), flush=True)


def print_coverage() -> None:
    print("coverage of the true median (mean: of the mean), and mean width in standard deviations")
    print_row("series, values", "our median", "our mean", "plain", "block bootstrap")
    for name, make in KINDS.items():
        for count in LENGTHS:
            print_row(
                f"{name}, {count}",
                coverage(make, count, ours, SERIES, LEVEL),
                coverage(make, count, ours_of_mean, SERIES, MEANS.get(name, LEVEL)),
                coverage(make, count, plain, SERIES, LEVEL),
                coverage(make, count, bootstrap, BOOTSTRAP_SERIES, LEVEL) if count >= 20 else "-",
            )


def whole_run(make: Maker, random: np.random.Generator) -> list[protocol.LapEnd]:
    """A run of ten epochs whose laps have 2 % noise of this kind."""
    noise = 1 + 0.02 * (make(EPOCHS * LAPS_AN_EPOCH, random) - LEVEL)
    end_s, laps = FIRST_LAP_S, []
    for number, factor in enumerate(noise.tolist()):
        end_s += factor * EPOCH_S / LAPS_AN_EPOCH
        if (number + 1) % LAPS_AN_EPOCH == 0:
            end_s += CHANGE_S * abs(random.normal(1, CHANGE_SHARE))
        epoch = number // LAPS_AN_EPOCH + 1
        laps.append(protocol.LapEnd(epoch, STEPS_A_LAP, round(end_s * 1e9), None, None))
    return laps


def print_quick() -> None:
    """Runs ended as the tool ends them, and what they project."""
    print("\nquick runs (laps of 2 % noise): the projected interval held the whole run's elapsed")
    print_row("series", "held", "median error", "half width", "stopped early", "mean epochs")
    per_epoch = LAPS_AN_EPOCH * STEPS_A_LAP
    for name, make in KINDS.items():
        random = np.random.default_rng(1)
        held = early = 0
        errors, widths, seen = [], [], []
        for _ in range(SERIES):
            whole = whole_run(make, random)
            stop, quick = QuickStop(per_epoch, EPOCHS), list[Lap]()
            for lap in whole:
                quick.append(Lap(epoch=lap.epoch, steps=lap.steps, end_ns=lap.end_ns))
                if stop(lap):
                    break
            steady = steady_epoch(quick, per_epoch)
            assert steady is not None
            projected, elapsed_s = steady.projected_s(EPOCHS), whole[-1].end_ns / 1e9
            held += projected.low <= elapsed_s <= projected.high
            errors.append(projected.median / elapsed_s - 1)
            widths.append(steady.half_width)
            seen.append(len(quick) / LAPS_AN_EPOCH)
            early += seen[-1] < QUICK_EPOCHS
        print_row(
            name,
            f"{held / SERIES:.1%}",
            f"{np.median(errors):+.2%}",
            f"{np.median(widths):.2%}",
            f"{early / SERIES:.1%}",
            f"{np.mean(seen):.2f}",
        )


def print_far() -> None:
    """Runs of ten epochs, one of which takes twice as long for a reason of its own."""
    print("\nten epochs of 2 % noise, one of them twice as long: the interval of the median")
    print_row("series", "held", "half width", "far end", "before: held", "half width", "far end")
    for name, make in KINDS.items():
        if name == "outliers":
            continue
        random = np.random.default_rng(1)
        cells: dict[str, list[tuple[bool, float, bool]]] = {"ours": [], "before": []}
        for _ in range(SERIES):
            values = LEVEL + 2 * (make(EPOCHS, random) - LEVEL)
            values[random.integers(EPOCHS)] *= 2
            for kind, interval in (("ours", ours), ("before", by_effective_number)):
                low, high = interval(values)
                cells[kind].append((low <= LEVEL <= high, (high - low) / 2, high == max(values)))
        shown = []
        for found in cells.values():
            held, half, far = (np.mean(column) for column in zip(*found, strict=True))
            shown += [f"{held:.1%}", f"{half / LEVEL:.1%}", f"{far:.1%}"]
        print_row(name, *shown)


def print_false_alarms() -> None:
    print("\nfalse alarms in series of 2 % noise without drift or warm-up")
    print_row("series, values", "|z| > 2.58", "and > 5 %", "warm-up", "outliers")
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
            print_row(f"{name}, {count}", *(f"{share:.1%}" for share in shares))


def print_unsteady() -> None:
    """Up to which noise of its laps a machine is steady enough for a quick run."""
    noises = (2, 5, 10, 15, 20)
    print(f"\nfound unsteady ({QUICK_LAPS} laps), by the standard deviation of a lap")
    print_row("series", *(f"{noise} %" for noise in noises))
    for name, make in KINDS.items():
        random = np.random.default_rng(1)
        unsteady = dict.fromkeys(noises, 0)
        for _ in range(SERIES):
            values = make(QUICK_LAPS, random) - LEVEL
            for noise in noises:
                found = mean_interval((LEVEL + noise * values).tolist(), [1] * QUICK_LAPS)
                half = (found.high - found.low) / 2 / found.median
                unsteady[noise] += half > UNSTEADY_SHARE
        print_row(name, *(f"{n / SERIES:.1%}" for n in unsteady.values()))


if __name__ == "__main__":
    print_coverage()
    print_far()
    print_quick()
    print_false_alarms()
    print_unsteady()
