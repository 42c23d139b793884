"""A comparison in sentences, with no more digits than the figures carry."""

from __future__ import annotations

import math

from epochmark.report.figures import seconds_text
from epochmark.results.comparison import Comparison, Side
from epochmark.results.statistics import Interval

MAX_DECIMALS = 2
"""The spread inside two runs does not know how far a third run would be from them."""


def comparison_lines(comparison: Comparison) -> list[str]:
    """The verdict in one sentence, then both figures, reasons and differences."""
    lines = [verdict_text(comparison), ""]
    lines += [_side_text(side) for side in (comparison.faster, comparison.slower)]
    if comparison.reasons:
        lines += ["", "Not comparable:", *(f"  - {reason}" for reason in comparison.reasons)]
    if comparison.differences:
        lines += ["", "Also different, and possible causes:"]
        lines += [f"  - {difference}" for difference in comparison.differences]
    return lines


def verdict_text(comparison: Comparison) -> str:
    """``A is 1.83 times as fast as B (95 % interval 1.79 to 1.88)``, or why not."""
    faster, slower = comparison.faster, comparison.slower
    if comparison.verdict == "not comparable" or comparison.ratio is None:
        return f"{faster.name} and {slower.name} are not comparable"
    interval = _interval_text(comparison, comparison.ratio)
    if comparison.verdict == "alike":
        return f"{faster.name} and {slower.name} cannot be told apart ({interval})"
    ratio = f"{comparison.ratio.median:.{decimals_of(comparison.ratio)}f}"
    return f"{faster.name} is {ratio} times as fast as {slower.name} ({interval})"


def decimals_of(ratio: Interval) -> int:
    """Decimals that an interval carries: down to the first digit of half its width."""
    half = (ratio.high - ratio.low) / 2
    wanted = MAX_DECIMALS if half <= 0 else min(MAX_DECIMALS, -math.floor(math.log10(half)))
    return max(0, wanted)


def _interval_text(comparison: Comparison, ratio: Interval) -> str:
    """The interval, rounded outwards so that it still holds what it held."""
    scale = 10 ** decimals_of(ratio)
    decimals = decimals_of(ratio)
    low, high = math.floor(ratio.low * scale) / scale, math.ceil(ratio.high * scale) / scale
    exact = comparison.faster.exact_bounds or comparison.slower.exact_bounds
    meaning = "anything from" if exact else "95 % interval"
    return f"{meaning} {low:.{decimals}f} to {high:.{decimals}f}"


def _side_text(side: Side) -> str:
    interval = side.steady_epoch
    if interval is None:
        return f"{side.name}: no steady epoch; {side.key}, on {side.device}"
    figure = seconds_text(interval.median)
    bounds = f"{seconds_text(interval.low)} to {seconds_text(interval.high)}"
    if side.machine[0] == "published":
        figure = f"{interval.median:g} s"
        bounds = f"published; stands for {interval.low:g} to {interval.high:g} s"
    return f"{side.name}: {figure} per epoch ({bounds}); {side.key}, on {side.device}"
