"""Horizontal bars with intervals: what several charts are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from epochmark.analysis.comparing.comparability import ComparabilityKey
from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.lines import lines_of, width_of
from epochmark.report.drawing.rows import Row, down, height_of, label_layers, rows_of
from epochmark.report.drawing.spec import Spec
from epochmark.report.drawing.theme import Theme
from epochmark.report.drawing.ticks import FORMAT, log_ticks, most_ticks, round_ticks

LOG_FROM = 20.0
"""From this ratio of the largest to the smallest value on, a linear axis hides the small ones."""
HOLLOW = 0.12
"""How much of its colour is inside the outline of a mark that is to be doubted."""
_BEFORE_FIGURE = 7
"""Pixels between a mark and the figure beside it."""
_BOLD_TITLE = 0.75
"""A title has larger letters and bold ones: so much less of it goes into a line."""


@dataclass(frozen=True)
class Bar:
    """One bar. ``figure`` is printed at its end; ``doubt`` draws it hollow; ``kind`` says in the
    chart's key what has this colour."""

    label: str
    value: float
    low: float | None
    high: float | None
    figure: str
    colour: str
    kind: str
    strong: bool = False
    doubt: bool = False

    @property
    def ends(self) -> tuple[float, float]:
        """The interval, of one without the value itself."""
        return (
            self.value if self.low is None else self.low,
            self.value if self.high is None else self.high,
        )


@dataclass(frozen=True)
class _Scale:
    """The axis across: from where to where, and its ticks."""

    low: float
    high: float
    logarithmic: bool
    ticks: list[float]
    width: int

    def pixel(self, value: float) -> float:
        """Where a value is."""
        if self.logarithmic:
            return self.width * math.log(value / self.low) / math.log(self.high / self.low)
        return self.width * (value - self.low) / (self.high - self.low)


def bars_panel(
    bars: Sequence[Bar], theme: Theme, *, title: str, subtitle: str | None, axis: str
) -> Spec:
    """Bars from zero; where the values span a factor of 20, points on a logarithmic axis instead,
    since a bar's length means nothing there."""
    scale, rows = _scale_of(bars, theme), rows_of([bar.label for bar in bars], theme)
    x: Spec = {
        "field": "value",
        "type": "quantitative",
        "scale": {
            "type": "log" if scale.logarithmic else "linear",
            "domain": [scale.low, scale.high],
            "nice": False,
        },
        "axis": {
            "title": lines_of(f"{axis}, logarithmic" if scale.logarithmic else axis, theme.width),
            "values": scale.ticks,
            "format": FORMAT,
            "grid": False,
        },
    }
    heading: Spec = {"text": lines_of(title, _BOLD_TITLE * theme.width)}
    if subtitle:
        heading["subtitle"] = lines_of(subtitle, theme.width)
    marks = _points(x, rows) if scale.logarithmic else _rectangles(x, rows)
    return {
        "width": theme.width,
        "height": height_of(rows),
        "title": heading,
        "data": {"values": [_values(bar, row) for bar, row in zip(bars, rows, strict=True)]},
        "layer": [
            _grid(bars, rows, scale, {**x, "field": "tick"}, theme.grid),
            marks,
            *_intervals(theme, x, rows),
            *label_layers(rows, [bar.strong for bar in bars]),
            *(_figures(x, rows, strong) for strong in (False, True)),
        ],
    }


def bars_key(bars: Sequence[Bar], theme: Theme, *, whisker: str, hollow: str) -> list[Entry]:
    """The key of such bars: each colour, and what whiskers and hollow bars are, where there are
    any. ``Bar.kind`` names the colours."""
    colours = {bar.kind: bar.colour for bar in bars}
    entries = [Entry(kind, colour, "box") for kind, colour in colours.items()]
    if any(bar.doubt for bar in bars):
        entries.append(Entry(hollow, theme.muted, "box", opacity=HOLLOW))
    if any(low < high for low, high in (bar.ends for bar in bars)):
        entries.append(Entry(whisker, theme.ink, "whisker"))
    return entries


def key_title(key: ComparabilityKey) -> tuple[str, str]:
    """A comparability key as title and subtitle, short enough for a telephone."""
    variant = f", {', '.join(key.variant)}" if key.variant else ""
    return f"{key.engine_family} {key.tuning}, {key.precision}", f"{key.workload}{variant}"


def _scale_of(bars: Sequence[Bar], theme: Theme) -> _Scale:
    """With room on the right for the longest figure, were it at the end of the longest bar."""
    starts, ends = zip(*(bar.ends for bar in bars), strict=True)
    least, most, ticks = min(starts), max(ends), most_ticks(theme)
    room = _BEFORE_FIGURE + max(width_of(bar.figure) for bar in bars)
    share = max(0.3, 1 - room / theme.width)
    if least > 0 and most > LOG_FROM * least:
        low = 10.0 ** math.floor(math.log10(least))
        high = low * (most / low) ** (1 / share)
        return _Scale(low, high, True, log_ticks(low, high, ticks), theme.width)
    high = most / share
    return _Scale(0.0, high, False, round_ticks(0.0, high, ticks), theme.width)


def _values(bar: Bar, row: Row) -> Spec:
    low, high = bar.ends
    return {
        "label": bar.label,
        "value": bar.value,
        "start": 0.0,
        "low": low,
        "high": high,
        "figure": bar.figure,
        "colour": bar.colour,
        "filled": HOLLOW if bar.doubt else 1.0,
        "strong": bar.strong,
        "top": row.top,
        "middle": row.middle,
        "bottom": row.bottom,
        "says": f"{bar.label}: {bar.figure}"[:200],
    }


def _grid(bars: Sequence[Bar], rows: Sequence[Row], scale: _Scale, x: Spec, colour: str) -> Spec:
    """A piece of each grid line beside each bar, but none where a label or a figure is."""
    pieces = []
    for bar, row in zip(bars, rows, strict=True):
        start = scale.pixel(bar.ends[1])
        end = start + _BEFORE_FIGURE + width_of(bar.figure)
        pieces += [
            {"tick": tick, "top": row.top - 1, "bottom": row.bottom + 1}
            for tick in scale.ticks
            if not start < scale.pixel(tick) < end
        ]
    return {
        "data": {"values": pieces},
        "mark": {"type": "rule", "color": colour, "aria": False},
        "encoding": {"x": x, "y": down("top", rows), "y2": {"field": "bottom"}},
    }


def _rectangles(x: Spec, rows: Sequence[Row]) -> Spec:
    return {
        "mark": {"type": "rect", "strokeWidth": 1.2, "cornerRadius": 2},
        "encoding": {
            "x": {**x, "field": "start"},
            "x2": {"field": "value"},
            "y": down("top", rows),
            "y2": {"field": "bottom"},
            "fill": {"field": "colour", "type": "nominal", "scale": None},
            "stroke": {"field": "colour", "type": "nominal", "scale": None},
            "fillOpacity": {"field": "filled", "type": "quantitative", "scale": None},
            "description": {"field": "says"},
        },
    }


def _points(x: Spec, rows: Sequence[Row]) -> Spec:
    return {
        "mark": {"type": "point", "size": 90, "strokeWidth": 2, "opacity": 1},
        "encoding": {
            "x": x,
            "y": down("middle", rows),
            "fill": {"field": "colour", "type": "nominal", "scale": None},
            "stroke": {"field": "colour", "type": "nominal", "scale": None},
            "fillOpacity": {"field": "filled", "type": "quantitative", "scale": None},
            "description": {"field": "says"},
        },
    }


def _intervals(theme: Theme, x: Spec, rows: Sequence[Row]) -> list[Spec]:
    """A whisker from low to high, and its two ends."""
    whisker: Spec = {
        "mark": {"type": "rule", "strokeWidth": 1.6, "color": theme.ink, "aria": False},
        "encoding": {
            "x": {**x, "field": "low"},
            "x2": {"field": "high"},
            "y": down("middle", rows),
        },
    }
    ends: list[Spec] = [
        {
            "mark": {
                "type": "tick", "thickness": 1.6, "size": 9, "orient": "vertical",
                "color": theme.ink, "aria": False,
            },
            "encoding": {"x": {**x, "field": end}, "y": down("middle", rows)},
        }
        for end in ("low", "high")
    ]  # fmt: skip
    return [
        {**layer, "transform": [{"filter": "datum.low < datum.high"}]} for layer in (whisker, *ends)
    ]


def _figures(x: Spec, rows: Sequence[Row], strong: bool) -> Spec:
    return {
        "transform": [{"filter": f"datum.strong === {str(strong).lower()}"}],
        "mark": {
            "type": "text", "align": "left", "baseline": "middle", "dx": _BEFORE_FIGURE,
            "fontWeight": "bold" if strong else "normal", "aria": False,
        },
        "encoding": {
            "x": {**x, "field": "high"},
            "y": down("middle", rows),
            "text": {"field": "figure"},
        },
    }  # fmt: skip
