"""The charts: one file each, found by file name; ``report.drawing.chart`` says what one is."""

from __future__ import annotations

import importlib
import pkgutil

from epochmark.report.drawing.chart import Chart, Drawing, Spec

__all__ = ["Chart", "Drawing", "Spec", "all_charts"]


def all_charts() -> list[Chart]:
    """Every chart there is, in the report's order."""
    names = [
        module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
    ]
    charts: list[Chart] = [importlib.import_module(f"{__name__}.{n}").CHART for n in names]
    return sorted(charts, key=lambda chart: chart.place)
