"""Rows of a chart, each under its own label: how high they are, and the labels themselves.

Labels stand above what they name, not beside it, and are broken into lines, so that long names fit
on a telephone as well. Heights are in pixels from the top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from epochmark.report.drawing.lines import LINE, lines_of
from epochmark.report.drawing.spec import Spec
from epochmark.report.drawing.theme import Theme

BAR = 13
_BELOW_LABEL, _BELOW_BAR = 3, 11
_BOLD = 0.88
"""Of the width, for a label: bold letters are wider."""


@dataclass(frozen=True)
class Row:
    """Where one row is: its label's lines from ``label`` on, its bar from ``top`` to ``bottom``."""

    lines: tuple[str, ...]
    label: float
    top: float
    bottom: float

    @property
    def middle(self) -> float:
        """Of the bar."""
        return (self.top + self.bottom) / 2


def rows_of(labels: Sequence[str], theme: Theme) -> list[Row]:
    """A row for each label, one below the other."""
    rows: list[Row] = []
    label = 0.0
    for text in labels:
        lines = lines_of(text, _BOLD * theme.width)
        top = label + LINE * len(lines) + _BELOW_LABEL
        rows.append(Row(tuple(lines), label, top, top + BAR))
        label = top + BAR + _BELOW_BAR
    return rows


def height_of(rows: Sequence[Row]) -> float:
    """Of all rows together."""
    return rows[-1].bottom + _BELOW_BAR / 2


def down(field: str, rows: Sequence[Row]) -> Spec:
    """The encoding of a place in pixels from the top."""
    scale = {"domain": [0, height_of(rows)], "reverse": True, "nice": False}
    return {"field": field, "type": "quantitative", "axis": None, "scale": scale}


def label_layers(rows: Sequence[Row], strong: Sequence[bool]) -> list[Spec]:
    """The labels, those that are ``strong`` in bold."""
    layers = []
    for weight in (False, True):
        values = [
            {"text": line, "text_y": row.label + LINE * (number + 0.5)}
            for row, bold in zip(rows, strong, strict=True)
            if bold is weight
            for number, line in enumerate(row.lines)
        ]
        mark = {
            "type": "text", "align": "left", "baseline": "middle",
            "fontWeight": "bold" if weight else "normal", "aria": False,
        }  # fmt: skip
        if values:
            encoding = {"x": {"value": 0}, "y": down("text_y", rows), "text": {"field": "text"}}
            layers.append({"data": {"values": values}, "mark": mark, "encoding": encoding})
    return layers
