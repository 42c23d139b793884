"""What a chart is: a named function from what the report is about to a Vega-Lite specification."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from epochmark.report.look import Look
from epochmark.report.subject import Subject

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one (https://vega.github.io/vega-lite/docs/spec.html)."""


@dataclass(frozen=True)
class Drawing:
    """A chart of actual records. ``alt`` says in words what can be seen."""

    spec: Spec
    alt: str


@dataclass(frozen=True)
class Chart:
    """One kind of chart. ``draw`` gives None where the records have nothing to show in it.

    ``reading`` tells in a sentence or two how to read it; ``place`` orders charts in the report.
    """

    name: str
    title: str
    reading: str
    place: int
    draw: Callable[[Subject, Look], Drawing | None]
