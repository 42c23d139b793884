"""Numbers as text, with no more digits than they carry (docs/measurement/comparing.md)."""

from __future__ import annotations

import math

from epochmark.analysis.timing.intervals import Interval

MOST_DIGITS = 4
"""Significant digits of a figure, however narrow its interval is."""
MAX_DECIMALS = 2
"""Of a ratio: the spread inside two runs does not know how far a third run would be from them."""
DIGITS_WITHOUT_INTERVAL = 3
"""Significant digits of a speed that has no interval."""


def value_text(interval: Interval, most: int | None = None) -> str:
    """The figure itself (``8.2``), with thousands separators; ``most`` decimals, by default as many
    as make four digits."""
    return rounded(interval.median, decimals_of(interval, _most(interval, most)))


def range_text(interval: Interval, most: int | None = None) -> str:
    """The bounds (``8.0 to 8.8``), rounded outwards so that they still hold what they held."""
    decimals = decimals_of(interval, _most(interval, most))
    scale = 10.0**decimals
    low, high = math.floor(interval.low * scale) / scale, math.ceil(interval.high * scale) / scale
    return f"{rounded(low, decimals)} to {rounded(high, decimals)}"


def ratio_text(ratio: Interval) -> str:
    """How many times as fast: ``1.83``."""
    return value_text(ratio, MAX_DECIMALS)


def scaled(value: float, interval: Interval) -> Interval:
    """Another figure that is known as well as this one (a speed, by its time)."""
    if interval.median <= 0:
        return Interval(value, value, value, interval.count)
    factor = value / interval.median
    return Interval(value, factor * interval.low, factor * interval.high, interval.count)


def decimals_of(interval: Interval, most: int) -> int:
    """Decimals that an interval carries, below zero for tens and hundreds.

    Half its width keeps its first digit, and the second if the first is a 1 or a 2; but so that
    neither the figure nor the lower bound of one or more becomes zero by that.
    """
    half = (interval.high - interval.low) / 2
    if half <= 0 or not math.isfinite(half):
        return most
    first = _decimals_to_first_digit(half)
    carried = min(most, first + 1 if half * 10.0**first < 3 else first)
    if interval.low > 0:
        carried = max(carried, min(0, _decimals_to_first_digit(interval.low)))
    return max(carried, _decimals_to_first_digit(interval.median)) if interval.median else carried


def significant(value: float, digits: int = DIGITS_WITHOUT_INTERVAL) -> str:
    """A figure with this many digits, never in powers of ten: ``6,430``, ``0.0123``."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return rounded(value, _decimals_to_first_digit(value) + digits - 1)


def rounded(value: float, decimals: int) -> str:
    """A number with these decimals and thousands separators; ``-2`` rounds to hundreds."""
    return f"{round(value, decimals):,.{max(0, decimals)}f}"


def printed(value: float) -> str:
    """A published figure, with the digits it was printed with."""
    return f"{value:,g}"


def _most(interval: Interval, most: int | None) -> int:
    if most is not None:
        return most
    if interval.median <= 0:
        return MAX_DECIMALS
    return _decimals_to_first_digit(interval.median) + MOST_DIGITS - 1


def _decimals_to_first_digit(value: float) -> int:
    return -math.floor(math.log10(abs(value)))
