"""What a chart is: a named function from what the report is about to a Vega-Lite specification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.spec import Spec
from epochmark.report.drawing.theme import Theme
from epochmark.report.subject import Subject


@dataclass(frozen=True)
class Drawing:
    """A chart of actual records, below its ``key``. ``alt`` says in words what can be seen;
    ``about`` names the run or the machine where the chart itself does not."""

    spec: Spec
    alt: str
    about: str = ""
    key: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Chart:
    """One kind of chart. ``draw`` gives None where the records have nothing to show in it.

    ``reading`` says in a sentence or two how to read it.
    ``needs`` says what more must be measured for it, where that is not just another run.
    """

    name: str
    title: str
    reading: str
    draw: Callable[[Subject, Theme], Drawing | None]
    needs: str = ""
