"""Specifications of Vega-Lite (https://vega.github.io/vega-lite/docs/spec.html)."""

from __future__ import annotations

from typing import Any

Spec = dict[str, Any]


def heading(text: str, colour: str) -> Spec:
    """What the axis at the left shows, above it and level: it needs no room beside the chart, and
    may be longer than the axis."""
    return {"text": text, "fontSize": 12, "fontWeight": "normal", "color": colour, "offset": 6}
