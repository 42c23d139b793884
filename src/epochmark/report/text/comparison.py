"""A comparison in sentences, with no more digits than the figures carry."""

from __future__ import annotations

import math

from epochmark.analysis.comparing.comparison import Comparison, Side, tells_apart
from epochmark.analysis.timing.intervals import Interval

MAX_DECIMALS = 2
"""Of a ratio: the spread inside two runs does not know how far a third run would be from them."""
SECONDS_DIGITS = 4
"""Of an epoch's seconds, at most."""


def comparison_lines(comparison: Comparison) -> list[str]:
    """The verdict in one sentence, then both figures, reasons and differences."""
    lines = [verdict_text(comparison), ""]
    sides = (comparison.faster, comparison.slower)
    lines += [_side_text(side) for side in sides]
    doubts = [f"{side.name}: {side.doubt}" for side in sides if side.doubt is not None]
    if doubts:
        lines += ["", "Not ranked:", *(f"  - {doubt}" for doubt in doubts)]
    if comparison.reasons:
        lines += ["", "Not comparable:", *(f"  - {reason}" for reason in comparison.reasons)]
    if comparison.differences:
        lines += ["", "Also different, and possible causes:"]
        lines += [f"  - {difference}" for difference in comparison.differences]
    return lines


def verdict_text(comparison: Comparison) -> str:
    """``A is 1.83 times as fast as B (95 % interval 1.79 to 1.88)``, or why not."""
    faster, slower, ratio = comparison.faster, comparison.slower, comparison.ratio
    if comparison.verdict == "not comparable" or ratio is None:
        return f"{faster.name} and {slower.name} are not comparable"
    decimals = decimals_of(ratio, MAX_DECIMALS)
    bounds = _bounds_text(ratio, decimals)
    if comparison.verdict == "not ranked":
        return f"{_graded_text(comparison, ratio, bounds)}; {_doubt_text(comparison)}, not ranked"
    exact = faster.exact_bounds or slower.exact_bounds
    interval = f"{'anything from' if exact else '95 % interval'} {bounds}"
    if comparison.verdict == "alike":
        return f"{faster.name} and {slower.name} cannot be told apart ({interval})"
    middle = _rounded(ratio.median, decimals)
    return f"{faster.name} is {middle} times as fast as {slower.name} ({interval})"


def _graded_text(comparison: Comparison, ratio: Interval, bounds: str) -> str:
    """What can be said of doubtful figures: something where their intervals are apart."""
    faster, slower = comparison.faster.name, comparison.slower.name
    if tells_apart(ratio):
        return f"{faster} is about {bounds} times as fast as {slower}"
    return f"{faster} and {slower} cannot be told apart (anything from {bounds})"


def _doubt_text(comparison: Comparison) -> str:
    """In short; the findings behind it follow the sides."""
    doubtful = {
        side.name: side.doubt.partition(" (")[0]
        for side in (comparison.faster, comparison.slower)
        if side.doubt is not None
    }
    if list(doubtful.values()) == ["disturbed", "disturbed"]:
        return "both runs were disturbed"
    return " and ".join(f"{name} is {doubt}" for name, doubt in doubtful.items())


def decimals_of(interval: Interval, most: int) -> int:
    """Decimals that an interval carries, below zero for tens and hundreds: down to the first digit
    of half its width, but so that its lower bound does not become zero by that."""
    half = (interval.high - interval.low) / 2
    carried = most if half <= 0 else min(most, _decimals_to_first_digit(half))
    coarsest = min(0, _decimals_to_first_digit(interval.low))
    return max(carried, coarsest)


def _decimals_to_first_digit(value: float) -> int:
    return -math.floor(math.log10(value))


def _rounded(value: float, decimals: int) -> str:
    return f"{round(value, decimals):,.{max(0, decimals)}f}"


def _bounds_text(interval: Interval, decimals: int) -> str:
    """The bounds, rounded outwards so that they still hold what they held."""
    scale = 10.0**decimals
    low, high = math.floor(interval.low * scale) / scale, math.ceil(interval.high * scale) / scale
    return f"{_rounded(low, decimals)} to {_rounded(high, decimals)}"


def _side_text(side: Side) -> str:
    interval = side.steady_epoch
    if interval is None:
        return f"{side.name}: no steady epoch; {side.key}, on {side.device}"
    if isinstance(side.machine, str):
        figure = f"{interval.median:g} s"
        bounds = f"published; stands for {interval.low:g} to {interval.high:g} s"
    else:
        most = _decimals_to_first_digit(interval.median) + SECONDS_DIGITS - 1
        decimals = decimals_of(interval, most)
        figure = f"{_rounded(interval.median, decimals)} s"
        bounds = f"{_bounds_text(interval, decimals)} s"
    return f"{side.name}: {figure} per epoch ({bounds}); {side.key}, on {side.device}"
