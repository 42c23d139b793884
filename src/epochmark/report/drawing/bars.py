"""Horizontal bars with intervals, each under its own label: what several charts are made of.

Labels stand above the bars, not beside them, so that long names fit on a telephone as well.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from epochmark.analysis.comparing.comparability import ComparabilityKey
from epochmark.report.drawing.chart import Spec
from epochmark.report.drawing.theme import Theme

ROW_HEIGHT = 42
LOG_FROM = 20.0
"""From this ratio of the largest to the smallest value on, a linear axis hides the small ones."""
LIMIT = 0.85
"""Labels are cut at this share of the width: the reader's font may be wider than the one they were
measured with."""
_ROOM = 1.28
"""The axis goes on so far beyond the largest value, for the figure printed at the bar's end."""


@dataclass(frozen=True)
class Bar:
    """One bar. ``figure`` is printed at its end; ``doubt`` draws it hollow."""

    label: str
    value: float
    low: float | None
    high: float | None
    figure: str
    colour: str
    strong: bool = False
    doubt: bool = False


def bars_panel(
    bars: Sequence[Bar], theme: Theme, *, title: str, subtitle: str | None, axis: str
) -> Spec:
    """Bars from zero; where the values span a factor of 20, points on a logarithmic axis instead,
    since a bar's length means nothing there."""
    ends = [bar.high or bar.value for bar in bars]
    starts = [bar.low or bar.value for bar in bars]
    logarithmic = max(ends) > LOG_FROM * min(starts)
    if logarithmic:
        low, high = _decades(min(starts), max(ends))
        scale: Spec = {"type": "log", "domain": [low, high], "nice": False}
    else:
        low = 0.0
        scale = {"domain": [0, max(ends) * _ROOM], "nice": False}
    x: Spec = {
        "field": "value",
        "type": "quantitative",
        "scale": scale,
        "axis": {
            "title": f"{axis}, logarithmic" if logarithmic else axis,
            "tickCount": 4 if theme.width < 400 else 8,
            "format": "~g" if logarithmic else ",~f",
            "domain": False,
            **({"values": log_ticks(low, scale["domain"][1])} if logarithmic else {}),
        },
    }
    heading: Spec = {"text": title, "limit": LIMIT * theme.width}
    if subtitle:
        heading["subtitle"] = subtitle
    return {
        "width": theme.width,
        "height": ROW_HEIGHT * len(bars),
        "title": heading,
        "data": {"values": [_values(bar, row, low) for row, bar in enumerate(bars)]},
        "layer": [
            _points(x) if logarithmic else _rectangles(x),
            *_intervals(theme, x),
            *(_labels(theme, len(bars), strong) for strong in (False, True)),
            *(_figures(x, strong) for strong in (False, True)),
        ],
    }


def _values(bar: Bar, row: int, start: float) -> Spec:
    return {
        "label": bar.label,
        "value": bar.value,
        "start": start,
        "low": bar.value if bar.low is None else bar.low,
        "high": bar.value if bar.high is None else bar.high,
        "figure": bar.figure,
        "colour": bar.colour,
        "filled": 0.12 if bar.doubt else 1.0,
        "strong": bar.strong,
        "text_y": row + 0.26,
        "top": row + 0.5,
        "middle": row + 0.66,
        "bottom": row + 0.82,
        "says": f"{bar.label}: {bar.figure}"[:200],
    }


def key_title(key: ComparabilityKey) -> tuple[str, str]:
    """A comparability key as title and subtitle, short enough for a telephone."""
    variant = f", {', '.join(key.variant)}" if key.variant else ""
    return f"{key.engine_family} {key.tuning}, {key.precision}", f"{key.workload}{variant}"


def log_ticks(low: float, high: float) -> list[float]:
    """Ticks at 1, 2 and 5 times the powers of ten, from ``low`` to ``high``."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [digit * 10.0**power for power in powers for digit in (1, 2, 5)]
    return [tick for tick in ticks if low <= tick <= high]


def _decades(low: float, high: float) -> tuple[float, float]:
    """A domain for a logarithmic axis, with room on the right for the figures."""
    return 10.0 ** math.floor(math.log10(low)), high * (high / low) ** 0.3


def _y(field: str) -> Spec:
    return {"field": field, "type": "quantitative", "axis": None}


def _rectangles(x: Spec) -> Spec:
    return {
        "mark": {"type": "rect", "strokeWidth": 1.2, "cornerRadius": 2},
        "encoding": {
            "x": {**x, "field": "start"},
            "x2": {"field": "value"},
            "y": _y("top"),
            "y2": {"field": "bottom"},
            "fill": {"field": "colour", "type": "nominal", "scale": None},
            "stroke": {"field": "colour", "type": "nominal", "scale": None},
            "fillOpacity": {"field": "filled", "type": "quantitative", "scale": None},
            "description": {"field": "says"},
        },
    }


def _points(x: Spec) -> Spec:
    return {
        "mark": {"type": "point", "size": 90, "strokeWidth": 2, "opacity": 1},
        "encoding": {
            "x": x,
            "y": _y("middle"),
            "fill": {"field": "colour", "type": "nominal", "scale": None},
            "stroke": {"field": "colour", "type": "nominal", "scale": None},
            "fillOpacity": {"field": "filled", "type": "quantitative", "scale": None},
            "description": {"field": "says"},
        },
    }


def _intervals(theme: Theme, x: Spec) -> list[Spec]:
    """A whisker from low to high, and its two ends."""
    whisker: Spec = {
        "mark": {"type": "rule", "strokeWidth": 1.6, "color": theme.ink, "aria": False},
        "encoding": {
            "x": {**x, "field": "low"},
            "x2": {"field": "high"},
            "y": _y("middle"),
        },
    }
    ends: list[Spec] = [
        {
            "mark": {
                "type": "tick", "thickness": 1.6, "size": 9, "orient": "vertical",
                "color": theme.ink, "aria": False,
            },
            "encoding": {"x": {**x, "field": end}, "y": _y("middle")},
        }
        for end in ("low", "high")
    ]  # fmt: skip
    return [
        {**layer, "transform": [{"filter": "datum.low < datum.high"}]} for layer in (whisker, *ends)
    ]


def _only(strong: bool) -> list[Spec]:
    return [{"filter": f"datum.strong === {str(strong).lower()}"}]


def _labels(theme: Theme, rows: int, strong: bool) -> Spec:
    scale = {"domain": [0, rows], "reverse": True, "nice": False}
    return {
        "transform": _only(strong),
        "mark": {
            "type": "text", "align": "left", "baseline": "middle", "limit": LIMIT * theme.width,
            "fontWeight": "bold" if strong else "normal", "aria": False,
        },
        "encoding": {
            "x": {"value": 0},
            "y": {**_y("text_y"), "scale": scale},
            "text": {"field": "label"},
        },
    }  # fmt: skip


def _figures(x: Spec, strong: bool) -> Spec:
    return {
        "transform": _only(strong),
        "mark": {
            "type": "text", "align": "left", "baseline": "middle", "dx": 7,
            "fontWeight": "bold" if strong else "normal", "aria": False,
        },
        "encoding": {
            "x": {**x, "field": "high"},
            "y": _y("middle"),
            "text": {"field": "figure"},
        },
    }  # fmt: skip
