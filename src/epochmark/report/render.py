"""Charts as SVG and PNG, drawn by vl-convert without a browser."""

from __future__ import annotations

import importlib.util
import re
from html import escape
from typing import Any

from epochmark._version import __version__
from epochmark.errors import EpochmarkError
from epochmark.report.charts import Chart, Drawing
from epochmark.report.drawing.key import key_panel
from epochmark.report.drawing.lines import lines_of
from epochmark.report.drawing.spec import Spec
from epochmark.report.drawing.theme import Theme, config
from epochmark.report.plain_text import plain
from epochmark.workloads import DEFAULT_WORKLOAD, WORKLOADS

PNG_SCALE = 2
"""Pixels in the file per pixel of the chart: sharp on today's screens."""


def can_draw() -> bool:
    """Whether the optional package that draws is installed."""
    return importlib.util.find_spec("vl_convert") is not None


def require_drawing() -> None:
    """Raise ``EpochmarkError`` with advice where charts cannot be drawn."""
    if not can_draw():
        raise EpochmarkError(
            "charts are drawn by the package vl-convert-python, which is not installed; "
            "get it with: pip install 'epochmark[report]'"
        )


def specification(drawing: Drawing, theme: Theme, heading: Chart | None = None) -> Spec:
    """The whole Vega-Lite specification, the key above the chart; ``heading`` gives a chart that
    stands alone its title."""
    parts = [_plain(drawing.spec)]
    if drawing.key:
        parts.insert(0, _plain(key_panel(drawing.key, theme)))
    spec: Spec = {"vconcat": parts, "spacing": 14, "config": config(theme)}
    if heading is not None:
        said = (drawing.about, *_default_workload(drawing), f"epochmark {__version__}")
        about = plain(", ".join(part for part in said if part))
        spec["title"] = {
            "text": lines_of(heading.title, theme.width * 12 / 18),
            "subtitle": lines_of(about, theme.width),
            "fontSize": 18,
            "offset": 18,
        }
    return {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", **spec}


def _default_workload(drawing: Drawing) -> list[str]:
    """It goes without saying on a page, not on a picture: unless that names another workload."""
    shown = f"{drawing.about} {drawing.spec}"
    named = any(name in shown for name in WORKLOADS if name != DEFAULT_WORKLOAD)
    return [] if named else [f"training {DEFAULT_WORKLOAD}"]


def _plain(part: Any) -> Any:
    """The specification with printable text only: a control character in a label makes the drawing
    library abort the whole process."""
    if isinstance(part, str):
        return plain(part)
    if isinstance(part, dict):
        return {name: _plain(value) for name, value in part.items()}
    if isinstance(part, list):
        return [_plain(value) for value in part]
    return part


def to_svg(drawing: Drawing, theme: Theme, heading: Chart | None = None) -> str:
    """SVG that fits its place and has its ``alt`` for those who cannot see it."""
    import vl_convert

    svg = _shortened(vl_convert.vegalite_to_svg(specification(drawing, theme, heading)))
    label = escape(plain(drawing.alt), quote=True)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def _shortened(svg: str) -> str:
    """The drawing with coordinates of two decimals: a hundredth of a pixel is not seen."""
    coordinates = re.compile(r'(?<= )(?:d|transform|x|x2|y|y2)="[^"]*"')
    return coordinates.sub(lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), svg)


def to_png(drawing: Drawing, theme: Theme, heading: Chart | None = None) -> bytes:
    """PNG at twice the chart's size."""
    import vl_convert

    png: bytes = vl_convert.vegalite_to_png(specification(drawing, theme, heading), scale=PNG_SCALE)
    return png
