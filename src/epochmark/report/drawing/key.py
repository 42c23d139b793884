"""The key of a chart: every mark and band in it, and what it stands for.

Drawn by ourselves: a legend of Vega-Lite has series only, and places its entries by the font at
hand when the chart is drawn, where the reader's may be wider.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from epochmark.report.drawing.lines import LINE, lines_of, width_of
from epochmark.report.drawing.spec import Spec
from epochmark.report.drawing.theme import Theme

_SYMBOL, _GAP = 24, 18
_ROW = LINE + 5


@dataclass(frozen=True)
class Entry:
    """One mark of a chart. ``opacity`` is that of a box or a point inside its outline, which
    ``outlined`` draws."""

    text: str
    colour: str
    mark: Literal["box", "line", "dashes", "whisker", "point", "series"]
    shape: str = "circle"
    opacity: float = 1.0
    outlined: bool = True


def key_panel(entries: Sequence[Entry], theme: Theme) -> Spec:
    """The entries side by side, in as many rows as they take."""
    marks: dict[str, list[Spec]] = {"box": [], "line": [], "dashes": [], "point": [], "text": []}
    across, down = 0.0, 0
    for entry in entries:
        lines = lines_of(entry.text, theme.width - _SYMBOL)
        wide = _SYMBOL + max(map(width_of, lines))
        if across and across + wide > theme.width:
            across, down = 0.0, down + _ROW
        _add(marks, entry, across, down + _ROW / 2)
        for number, line in enumerate(lines):
            place = {"x": across + _SYMBOL, "y": down + _ROW / 2 + number * LINE}
            marks["text"].append({**place, "text": line})
        across += wide + _GAP
        if len(lines) > 1:
            across, down = 0.0, down + LINE * (len(lines) - 1) + _ROW
    height = down + (_ROW if across else 0)
    return {
        "width": theme.width,
        "height": height,
        "encoding": {"x": _pixels("x", theme.width), "y": _pixels("y", height, reverse=True)},
        "layer": [
            _layer(kind, values, theme) for kind, values in marks.items() if values
        ],
    }  # fmt: skip


def _pixels(field: str, most: float, *, reverse: bool = False) -> Spec:
    scale = {"domain": [0, most], "nice": False, "zero": False, "reverse": reverse}
    return {"field": field, "type": "quantitative", "axis": None, "scale": scale}


def _add(marks: dict[str, list[Spec]], entry: Entry, x: float, y: float) -> None:
    """The symbol of an entry, from ``x`` on and around ``y``."""
    end, middle = x + _SYMBOL - 7, x + (_SYMBOL - 7) / 2
    colour = {"colour": entry.colour}
    level = {"x": x, "x2": end, "y": y, "y2": y, **colour}
    inside = {"opacity": entry.opacity, "stroke": 1.2 if entry.outlined else 0.0}
    if entry.mark == "box":
        marks["box"].append({**level, "y": y - 5, "y2": y + 5, **inside})
    if entry.mark in ("line", "series", "whisker"):
        marks["line"].append(level)
    if entry.mark == "dashes":
        marks["dashes"].append(level)
    if entry.mark == "whisker":
        for place in (x, end):
            marks["line"].append({**level, "x": place, "x2": place, "y": y - 4, "y2": y + 4})
    if entry.mark in ("point", "series"):
        marks["point"].append({"x": middle, "y": y, "shape": entry.shape, **inside, **colour})


def _layer(kind: str, values: list[Spec], theme: Theme) -> Spec:
    """Marks of one kind, each with its own colour."""
    as_it_is: Spec = {"type": "nominal", "scale": None}
    number: Spec = {"type": "quantitative", "scale": None}
    ends = {"x2": {"field": "x2"}, "y2": {"field": "y2"}}
    stroke: Spec = {"stroke": {"field": "colour", **as_it_is}}
    filled: Spec = {
        **stroke,
        "fill": {"field": "colour", **as_it_is},
        "fillOpacity": {"field": "opacity", **number},
        "strokeWidth": {"field": "stroke", **number},
    }
    mark: Spec
    if kind == "text":
        mark = {"type": "text", "align": "left", "baseline": "middle", "color": theme.ink}
        encoding: Spec = {"text": {"field": "text"}}
    elif kind == "box":
        mark, encoding = {"type": "rect", "cornerRadius": 2}, {**ends, **filled}
    elif kind == "point":
        mark = {"type": "point", "size": 70, "opacity": 1}
        encoding = {**filled, "shape": {"field": "shape", **as_it_is}}
    else:
        dashes = {"strokeDash": [5, 4]} if kind == "dashes" else {}
        mark, encoding = {"type": "rule", "strokeWidth": 1.8, **dashes}, {**ends, **stroke}
    return {"data": {"values": values}, "mark": {**mark, "aria": False}, "encoding": encoding}
