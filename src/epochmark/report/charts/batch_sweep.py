"""Throughput against batch size, for each engine and device that was swept with one workload."""

from __future__ import annotations

from epochmark.analysis.comparing.batch_sizes import BatchPoint, BatchSweep, batch_sweeps
from epochmark.analysis.comparing.comparability import key_of
from epochmark.report.digits import value_text
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.lines import lines_of
from epochmark.report.drawing.series import coloured, outlined, points_with_intervals, series_of
from epochmark.report.drawing.spec import Spec, heading
from epochmark.report.drawing.theme import Theme
from epochmark.report.drawing.ticks import FORMAT, round_ticks
from epochmark.report.figures import other_workload, unit_of
from epochmark.report.subject import Subject

MOST_LINES = 6
HEIGHT = 260


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """A line with intervals for each sweep of this machine; None without one. Of several workloads
    that of the run in focus, or else the newest that was swept: their speeds have no common axis.
    """
    sweeps = _of_one_workload(subject)[:MOST_LINES]
    if not sweeps:
        return None
    workload = sweeps[0].points[0].record.workload.name
    series = series_of(_names(sweeps), theme)
    values = [
        _values(line, point)
        for line, sweep in zip(series, sweeps, strict=True)
        for point in sweep.points
    ]
    key = [*series, Entry("95 % interval", theme.muted, "whisker")]
    if any(not value["filled"] for value in values):
        key.append(Entry("disturbed", theme.muted, "point", opacity=0.0))
    return Drawing(
        spec=_spec(values, unit_of(workload), theme),
        alt="; ".join(str(value["says"]) for value in values),
        about=", ".join([subject.own[0].machine.cpu, *other_workload(workload)]),
        key=tuple(key),
    )


def _of_one_workload(subject: Subject) -> list[BatchSweep]:
    sweeps = batch_sweeps(subject.own)
    swept = {sweep.key.workload for sweep in sweeps}
    in_order = [key_of(record).workload for record in subject.own]
    if subject.focus is not None:
        in_order.append(key_of(subject.focus).workload)
    shown = next((workload for workload in reversed(in_order) if workload in swept), None)
    return [sweep for sweep in sweeps if sweep.key.workload == shown]


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
    return [" ".join(pair) for pair in sweep.setup.versions[:1]]


def _values(line: Entry, point: BatchPoint) -> Spec:
    speed, unit = point.targets_per_s, unit_of(point.record.workload.name)
    doubt = "" if point.is_valid else ", disturbed"
    return {
        **outlined(line, hollow=not point.is_valid),
        "batch": point.batch_size,
        "speed": speed.median,
        "low": speed.low,
        "high": speed.high,
        "says": f"{line.text}, batch {point.batch_size}: {value_text(speed)} {unit}/s{doubt}",
    }


def _spec(values: list[Spec], unit: str, theme: Theme) -> Spec:
    batches = sorted({value["batch"] for value in values})
    x: Spec = {
        "field": "batch", "type": "quantitative",
        "scale": {"type": "log", "base": 2, "nice": False, "padding": 12},
        "axis": {"title": lines_of("batch size, logarithmic", theme.width), "values": batches,
                 "grid": False, "format": FORMAT},
    }  # fmt: skip
    top = 1.05 * max(value["high"] for value in values)
    y: Spec = {
        "field": "speed", "type": "quantitative",
        "scale": {"domain": [0, top], "nice": False},
        "axis": {"title": None, "values": round_ticks(0, top, 6), "format": FORMAT},
    }  # fmt: skip
    return {
        "width": theme.width,
        "height": HEIGHT,
        "title": heading(f"{unit} per second", theme.muted),
        "data": {"values": values},
        "encoding": {"x": x, "color": coloured()},
        "layer": [
            {"mark": {"type": "line", "strokeWidth": 2, "aria": False}, "encoding": {"y": y}},
            *points_with_intervals(y),
        ],
    }


CHART = Chart(
    name="batch-sweep",
    title="Speed against batch size",
    reading="Other batch sizes are variants: they train differently and are ranked "
    "separately. The curve "
    "shows how much work at a time a device needs to be fast; where two lines cross, the other "
    "device becomes the faster one.",
    draw=draw,
)
