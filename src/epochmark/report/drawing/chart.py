"""What a chart is: a named function from what the report is about to a Vega-Lite specification."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from epochmark.report.drawing.theme import Theme
from epochmark.report.subject import Subject

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one (https://vega.github.io/vega-lite/docs/spec.html)."""

_SYMBOL, _LETTER = 36, 8.5
"""Pixels of a legend's symbol with its gap, and of a letter in a wide font of 12 pixels."""


@dataclass(frozen=True)
class Drawing:
    """A chart of actual records. ``alt`` says in words what can be seen; ``about`` names the run or
    the machine where the chart itself does not."""

    spec: Spec
    alt: str
    about: str = ""


@dataclass(frozen=True)
class Chart:
    """One kind of chart. ``draw`` gives None where the records have nothing to show in it.

    ``reading`` tells in a sentence or two how to read it.
    ``needs`` says what more must be measured for it, where that is not just another run.
    """

    name: str
    title: str
    reading: str
    draw: Callable[[Subject, Theme], Drawing | None]
    needs: str = ""


def legend(names: Sequence[str], theme: Theme) -> Spec:
    """A legend of these names in as many columns as fit, with gaps between them that the wider
    letters of a reader's font may fill: entries are placed by the font at hand when drawing."""
    longest = max(map(len, names))
    columns = theme.width // (_SYMBOL + _LETTER * longest)
    return {"columns": max(1, min(4, columns)), "columnPadding": 12 + 2 * longest}
