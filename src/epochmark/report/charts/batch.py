"""Speed against batch size, where runs with other batch sizes were made."""

from __future__ import annotations

from epochmark.report.charts._chart import Chart, Drawing, Spec
from epochmark.report.figures import device_id
from epochmark.report.look import Look
from epochmark.report.subject import Subject
from epochmark.results.record import Record

MOST_LINES = 6


def draw(subject: Subject, look: Look) -> Drawing | None:
    """A line for each engine, device and tuning with at least two batch sizes."""
    sweeps: dict[str, dict[int, Record]] = {}
    for record in subject.newest_own(variants=True):
        if record.headline.images_per_s is not None:
            name = f"{record.engine.name} on {device_id(record)}, {record.engine.tuning}"
            sweeps.setdefault(name, {})[record.workload.batch_size] = record
    names = [name for name in sorted(sweeps) if len(sweeps[name]) > 1][:MOST_LINES]
    if not names:
        return None
    values = [
        {"run": name, "batch": batch, "images_per_s": record.headline.images_per_s,
         "says": f"{name}, batch {batch}: {record.headline.images_per_s:,.0f} images/s"}
        for name in names for batch, record in sorted(sweeps[name].items())
    ]  # fmt: skip
    return Drawing(_spec(values, names, look), "; ".join(str(value["says"]) for value in values))


def _spec(values: list[Spec], names: list[str], look: Look) -> Spec:
    batches = sorted({value["batch"] for value in values})
    return {
        "width": look.width,
        "height": 220,
        "data": {"values": values},
        "mark": {"type": "line", "point": {"filled": True, "size": 50}, "strokeWidth": 2},
        "encoding": {
            "x": {
                "field": "batch", "type": "quantitative",
                "scale": {"type": "log", "base": 2, "nice": False, "padding": 8},
                "axis": {"title": "batch size, logarithmic", "values": batches, "grid": False},
            },
            "y": {
                "field": "images_per_s", "type": "quantitative", "scale": {"domainMin": 0},
                "axis": {"title": "images per second", "tickCount": 5, "format": ",.0f"},
            },
            "color": {"field": "run", "type": "nominal",
                      "scale": {"domain": names, "range": list(look.series[: len(names)])}},
            "description": {"field": "says"},
        },
    }  # fmt: skip


CHART = Chart(
    name="batch",
    title="Speed against batch size",
    reading="Other batch sizes are variants: they learn something else and rank apart. The curve "
    "shows how much work at a time this machine needs to be fast.",
    place=60,
    draw=draw,
)
