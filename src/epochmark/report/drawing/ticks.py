"""Round ticks: at 1, 2 or 5 times a power of ten, as many as fit."""

from __future__ import annotations

import math

from epochmark.report.drawing.theme import Theme

FORMAT = ",~f"
"""Plain numbers with separators between thousands, never with an exponent."""
_DIGITS = ((1, 2, 5), (1, 3), (1,))
_PIXELS = 66
"""From one tick to the next, at least."""


def most_ticks(theme: Theme) -> int:
    """How many labels an axis across has room for."""
    return max(5, theme.width // _PIXELS)


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """Evenly spaced ticks from ``low`` to ``high``, at most ``most`` of them."""
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    step = next(step for step in (power, 2 * power, 5 * power, 10 * power, 20 * power)
                if math.floor(high / step) - math.ceil(low / step) < most)  # fmt: skip
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = 12) -> list[float]:
    """Ticks of a logarithmic axis, at most ``most`` of them; evenly spaced where the axis is too
    short for two powers' digits."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in _DIGITS:
        ticks = [float(f"{digit * 10.0**power:.12g}") for power in powers for digit in digits]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            break
    return ticks if len(ticks) > 1 else round_ticks(low, high, min(most, 5))
