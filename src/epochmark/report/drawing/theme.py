"""How charts look: one palette for each place they appear in, readable for colour-blind eyes.

Colours are those of Okabe and Ito (Color Universal Design, 2008; also Wong, Nature Methods 8, 441).
None carries a meaning alone: labels, shapes or dashes say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', 'DejaVu Sans', sans-serif"
_LABELS = 48
"""Pixels for the labels of an axis upright, in the widest font that a reader may have."""


@dataclass(frozen=True)
class Theme:
    """Colours as SVG takes them, and the width of the plotting area in pixels.

    ``own`` marks this machine, ``other`` the measured rest, ``published`` what others published,
    ``doubtful`` what is not to be trusted; ``series`` distinguishes lines of one kind.
    """

    width: int
    paper: str | None
    ink: str
    muted: str
    grid: str
    own: str
    other: str
    published: str
    doubtful: str
    shade: str
    series: tuple[str, ...]


def light(width: int) -> Theme:
    """For a file of its own on white paper."""
    return Theme(
        width=width,
        paper="#ffffff",
        ink="#1a1c1f",
        muted="#5b626b",
        grid="#e2e5e9",
        own="#0072b2",
        other="#79838f",
        published="#b5651d",
        doubtful="#d55e00",
        shade="#eef1f4",
        series=("#0072b2", "#d55e00", "#009e73", "#a8508a", "#8a6d00", "#3a87b8"),
    )


def dark(width: int) -> Theme:
    """For a file of its own on dark paper."""
    return Theme(
        width=width,
        paper="#14171a",
        ink="#eceff2",
        muted="#a3abb4",
        grid="#2c3238",
        own="#56b4e9",
        other="#7f8993",
        published="#e69f00",
        doubtful="#ff8c42",
        shade="#1e2328",
        series=("#56b4e9", "#e69f00", "#2fc79a", "#e09ac4", "#f0e442", "#c6ccd2"),
    )


def page(width: int) -> Theme:
    """For the report: the page's style sheet defines the colours, for light and for dark."""
    return Theme(
        width=width,
        paper=None,
        ink="var(--ink)",
        muted="var(--muted)",
        grid="var(--grid)",
        own="var(--own)",
        other="var(--other)",
        published="var(--published)",
        doubtful="var(--doubtful)",
        shade="var(--shade)",
        series=tuple(f"var(--series-{number})" for number in range(1, 7)),
    )


def style_variables(theme: Theme) -> dict[str, str]:
    """The CSS variables that ``page`` refers to, with this theme's colours."""
    names = ("ink", "muted", "grid", "own", "other", "published", "doubtful", "shade")
    colours = {name: getattr(theme, name) for name in names}
    return {**colours, **{f"series-{n}": c for n, c in enumerate(theme.series, start=1)}}


def config(theme: Theme) -> dict[str, Any]:
    """The Vega-Lite configuration all charts share."""
    return {
        "background": theme.paper or "transparent",
        "font": FONT,
        "padding": 4 if theme.paper is None else 20,
        "view": {"stroke": None},
        "title": {
            "anchor": "start",
            "frame": "group",
            "color": theme.ink,
            "fontSize": 14,
            "fontWeight": 600,
            "subtitleColor": theme.muted,
            "subtitleFontSize": 12,
            "subtitlePadding": 4,
            "offset": 10,
        },
        "axis": {
            "labelColor": theme.muted,
            "titleColor": theme.muted,
            "titleFontWeight": "normal",
            "labelFontSize": 12,
            "titleFontSize": 12,
            "titlePadding": 8,
            "gridColor": theme.grid,
            "domainColor": theme.grid,
            "tickColor": theme.grid,
            "labelFlush": False,
            "labelOverlap": True,
        },
        "axisY": {"minExtent": _LABELS},
        "text": {"color": theme.ink, "fontSize": 12},
    }
