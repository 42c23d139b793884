"""Series of one chart, each with a colour and a shape: neither carries the meaning alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.spec import Spec
from epochmark.report.drawing.theme import Theme

SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")


def series_of(
    names: Sequence[str], theme: Theme, mark: Literal["line", "point", "series"] = "series"
) -> list[Entry]:
    """An entry of the key for each name. With more names than colours, the shapes of those that
    share one differ."""
    count, shapes = len(theme.series), len(SHAPES)
    return [
        Entry(name, theme.series[n % count], mark, shape=SHAPES[(n + n // shapes) % shapes])
        for n, name in enumerate(names)
    ]


def outlined(entry: Entry, *, hollow: bool = False) -> Spec:
    """What a point of a series carries in the data."""
    return {
        "colour": entry.colour, "shape": entry.shape, "filled": 0.0 if hollow else 1.0
    }  # fmt: skip


def coloured() -> Spec:
    """The encoding of the colour that the data name."""
    return {"field": "colour", "type": "nominal", "scale": None, "legend": None}


def shaped() -> Spec:
    """The encoding of the shape that the data name."""
    return {"field": "shape", "type": "nominal", "scale": None, "legend": None}


def points_with_intervals(y: Spec) -> list[Spec]:
    """The layers of points that are hollow where the data say so, each on the rule from its ``low``
    to its ``high``; ``y`` is the encoding of the value."""
    rule = {"type": "rule", "strokeWidth": 1.6, "aria": False}
    return [
        {"mark": rule, "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}}},
        {
            "mark": {"type": "point", "size": 70, "strokeWidth": 2, "opacity": 1},
            "encoding": {"y": y, **filled(), "description": {"field": "says"}},
        },
    ]


def filled() -> Spec:
    """The encodings of a point that is hollow where the data say so."""
    return {
        "color": coloured(),
        "fill": coloured(),
        "fillOpacity": {"field": "filled", "type": "quantitative", "scale": None, "legend": None},
        "shape": shaped(),
    }
