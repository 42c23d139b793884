"""Figures as text, with no more digits than they carry."""

from __future__ import annotations


def seconds_text(seconds: float | None) -> str:
    """Seconds with three or four significant digits and the unit; a dash for None."""
    if seconds is None:
        return "-"
    if seconds >= 1000:
        return f"{seconds:,.0f} s"
    decimals = 1 if seconds >= 100 else 2 if seconds >= 1 else 3
    return f"{seconds:.{decimals}f} s"
