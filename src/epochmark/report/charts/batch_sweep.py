"""Throughput against batch size, for each engine and device that was swept."""

from __future__ import annotations

from epochmark.analysis.comparing.batch_sizes import BatchPoint, BatchSweep, batch_sweeps
from epochmark.report.drawing.chart import Chart, Drawing, Spec, legend
from epochmark.report.drawing.theme import Theme
from epochmark.report.figures import shortened
from epochmark.report.subject import Subject

MOST_LINES = 6
HEIGHT = 260
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down")
"""So that lines can be told apart without their colours."""


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """A line with intervals for each sweep of this machine; None without one."""
    sweeps = batch_sweeps(subject.own)[:MOST_LINES]
    if not sweeps:
        return None
    names = _names(sweeps)
    values = [
        _values(name, point)
        for name, sweep in zip(names, sweeps, strict=True)
        for point in sweep.points
    ]
    spoken = "; ".join(str(value["says"]) for value in values)
    return Drawing(_spec(values, names, theme), spoken, shortened(subject.own[0].machine.cpu))


def _names(sweeps: list[BatchSweep]) -> list[str]:
    """Engine, device and tuning; with variant, precision and versions where that is not enough."""
    short = [f"{sweep.engine} on {sweep.device}, {sweep.key.tuning}" for sweep in sweeps]
    names: list[str] = []
    for name, sweep in zip(short, sweeps, strict=True):
        if short.count(name) > 1:
            details = [*sweep.key.variant, sweep.key.precision, *_version(sweep)]
            name = f"{name} ({', '.join(details)})"  # noqa: PLW2901
        names.append(name if name not in names else f"{name} [{len(names) + 1}]")
    return names


def _version(sweep: BatchSweep) -> list[str]:
    return [" ".join(pair) for pair in sweep.way.versions[:1]]


def _values(name: str, point: BatchPoint) -> Spec:
    images = point.images_per_s
    doubt = "" if point.is_valid else ", disturbed"
    return {
        "run": name,
        "batch": point.batch_size,
        "images_per_s": images.median,
        "low": images.low,
        "high": images.high,
        "filled": 1.0 if point.is_valid else 0.0,
        "says": f"{name}, batch {point.batch_size}: {images.median:,.0f} images/s{doubt}",
    }


def _spec(values: list[Spec], names: list[str], theme: Theme) -> Spec:
    batches = sorted({value["batch"] for value in values})
    x: Spec = {
        "field": "batch", "type": "quantitative",
        "scale": {"type": "log", "base": 2, "nice": False, "padding": 12},
        "axis": {"title": "batch size, logarithmic", "values": batches, "grid": False},
    }  # fmt: skip
    top = 1.05 * max(value["high"] for value in values)
    y: Spec = {
        "field": "images_per_s", "type": "quantitative",
        "scale": {"domain": [0, top], "nice": False},
        "axis": {"title": "images per second", "tickCount": 5, "format": ",.0f"},
    }  # fmt: skip
    colours = {"domain": names, "range": list(theme.series[: len(names)])}
    shapes = {"domain": names, "range": list(SHAPES[: len(names)])}
    key = legend(names, theme)
    colour: Spec = {"field": "run", "type": "nominal", "scale": colours, "legend": key}
    return {
        "width": theme.width,
        "height": HEIGHT,
        "data": {"values": values},
        "encoding": {"x": x, "color": colour},
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 2, "aria": False}, "encoding": {"y": y}},
            {
                "mark": {"type": "rule", "strokeWidth": 1.6, "aria": False},
                "encoding": {"y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "mark": {"type": "point", "size": 70, "strokeWidth": 2, "opacity": 1},
                "encoding": {
                    "y": y,
                    "shape": {"field": "run", "type": "nominal", "scale": shapes, "legend": key},
                    "fill": colour,
                    "fillOpacity": {"field": "filled", "type": "quantitative", "scale": None},
                    "description": {"field": "says"},
                },
            },
        ],
    }


CHART = Chart(
    name="batch-sweep",
    title="Speed against batch size",
    reading="Other batch sizes are variants: they learn something else and rank apart. The curve "
    "shows how much work at a time a device needs to be fast; where two lines cross, the other "
    "device becomes the faster one. Whiskers: 95 % interval. A hollow point was disturbed.",
    draw=draw,
)
