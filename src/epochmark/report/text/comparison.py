"""A comparison in sentences, with no more digits than the figures carry."""

from __future__ import annotations

from epochmark.analysis.comparing.comparison import Comparison, Side, tells_apart
from epochmark.analysis.comparing.regression import Regression
from epochmark.analysis.timing.intervals import Interval
from epochmark.report.digits import MAX_DECIMALS, printed, range_text, ratio_text, value_text
from epochmark.report.figures import seconds_text


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
    bounds = range_text(ratio, MAX_DECIMALS)
    if comparison.verdict == "not ranked":
        return f"{_graded_text(comparison, ratio, bounds)}; {_doubt_text(comparison)}, not ranked"
    exact = faster.exact_bounds or slower.exact_bounds
    interval = f"{'anything from' if exact else '95 % interval'} {bounds}"
    if comparison.verdict == "alike":
        return f"no clear difference between {faster.name} and {slower.name} ({interval})"
    return f"{faster.name} is {ratio_text(ratio)} times as fast as {slower.name} ({interval})"


def _graded_text(comparison: Comparison, ratio: Interval, bounds: str) -> str:
    """What can be said of doubtful figures: something where their intervals are apart."""
    faster, slower = comparison.faster.name, comparison.slower.name
    if tells_apart(ratio):
        return f"{faster} is about {bounds} times as fast as {slower}"
    return f"no clear difference between {faster} and {slower} (anything from {bounds})"


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


TIMES_DECIMALS = 3
"""Of how many times as long a run takes: limits are percents."""


def regression_text(found: Regression, earlier: str, later: str) -> str:
    """Whether the later one is slower than is allowed, in one sentence."""
    allowed = f"the {100 * found.allowed:g}% allowed"
    if found.times_as_long is None:
        start = f"Undecided whether {later} is slower by more than {allowed}"
        return f"{start}: the two cannot be ranked."
    takes = range_text(found.times_as_long, TIMES_DECIMALS)
    start = f"{later} takes {takes} times as long as {earlier}"
    if found.verdict == "undecided":
        return f"{start}: undecided whether that is more than {allowed}; measure again, or longer."
    words = {"slower": "slower by more than", "within": "within"}
    return f"{start}: {words[found.verdict]} {allowed}."


def _side_text(side: Side) -> str:
    interval = side.steady_epoch
    if interval is None:
        return f"{side.name}: no steady epoch; {side.key}, on {side.device}"
    if isinstance(side.machine, str):
        figure = f"{printed(interval.median)} s"
        bounds = f"published; stands for {printed(interval.low)} to {printed(interval.high)} s"
    else:
        figure = f"{value_text(interval)} s"
        bounds = f"{range_text(interval)} s"
    target = (
        ""
        if side.time_to_target_s is None
        else f", the target after {seconds_text(side.time_to_target_s)}"
    )
    return f"{side.name}: {figure} per epoch ({bounds}){target}; {side.key}, on {side.device}"
