"""The charts, one file each, in the order of the report; ``report.drawing.chart`` says what one
is."""

from __future__ import annotations

from epochmark.report.charts import (
    batch_sweep,
    clocks,
    engines,
    history,
    learning,
    machines,
    published,
    race,
    roofline,
    scaling,
    speed,
    thermals,
)
from epochmark.report.drawing.chart import Chart, Drawing

__all__ = ["Chart", "Drawing", "all_charts"]


def all_charts() -> list[Chart]:
    """Every chart there is, in the report's order."""
    return [
        machines.CHART,
        published.CHART,
        engines.CHART,
        roofline.CHART,
        speed.CHART,
        thermals.CHART,
        clocks.CHART,
        learning.CHART,
        batch_sweep.CHART,
        history.CHART,
        race.CHART,
        scaling.CHART,
    ]
