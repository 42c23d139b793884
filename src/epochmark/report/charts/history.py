"""This machine over time: each way to train beside its own first run."""

from __future__ import annotations

from datetime import timedelta

from epochmark.analysis.comparing.history import Entry as Run
from epochmark.analysis.comparing.history import Series, history
from epochmark.analysis.timing.headline import steady_of
from epochmark.records.dates import local_time, moment
from epochmark.report.digits import range_text, value_text
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.lines import lines_of
from epochmark.report.drawing.series import coloured, outlined, points_with_intervals, series_of
from epochmark.report.drawing.spec import Spec, heading
from epochmark.report.drawing.theme import Theme
from epochmark.report.drawing.ticks import FORMAT, round_ticks
from epochmark.report.subject import Subject

MOST_LINES = 6
HEIGHT = 260


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """A line for each series with two valid runs or more, the longest ones; None without any."""
    long = [
        series for series in history(subject.own) if sum(run.decides for run in series.entries) > 1
    ]
    chosen = sorted(long, key=lambda series: -len(series.entries))[:MOST_LINES]
    if not chosen:
        return None
    lines = series_of([str(series.setup) for series in chosen], theme)
    values = [
        value for line, series in zip(lines, chosen, strict=True) for value in _values(line, series)
    ]
    key = [*lines, Entry("95 % interval", theme.muted, "whisker")]
    if any(not value["filled"] for value in values):
        key.append(Entry("disturbed", theme.muted, "point", opacity=0.0))
    return Drawing(
        spec=_spec(values, theme),
        alt="; ".join(str(value["says"]) for value in values),
        about=subject.own[0].machine.cpu,
        key=tuple(key),
    )


def _values(line: Entry, series: Series) -> list[Spec]:
    base_s = next(
        run.record.headline.steady_epoch_s
        for run in series.entries
        if run.decides and run.record.headline.steady_epoch_s
    )
    return [_value(line, run, base_s) for run in series.entries]


def _value(line: Entry, run: Run, base_s: float) -> Spec:
    steady = steady_of(run.record)
    assert steady is not None, "runs without one are in no series"
    interval = steady.interval
    doubt = "" if run.decides else f", {run.record.headline.validity}"
    return {
        **outlined(line, hollow=not run.decides),
        "line": line.text,
        "date": run.record.created,
        "speed": base_s / interval.median,
        "low": base_s / interval.high,
        "high": base_s / interval.low,
        "says": f"{line.text}, {local_time(run.record.created)}: {value_text(interval)} s per "
        f"epoch ({range_text(interval)}){doubt}",
    }


def _spec(values: list[Spec], theme: Theme) -> Spec:
    dates = [moment(value["date"]) for value in values]
    short = max(dates) - min(dates) < timedelta(days=3)
    x: Spec = {
        "field": "date", "type": "temporal", "scale": {"nice": False, "padding": 12},
        "axis": {"title": lines_of("when it was measured", theme.width), "grid": False,
                 "tickCount": max(2, theme.width // 120), "labelOverlap": True,
                 "format": "%d %b %H:%M" if short else "%Y-%m-%d"},
    }  # fmt: skip
    low, top = (
        0.98 * min(value["low"] for value in values), 1.02 * max(value["high"] for value in values)
    )  # fmt: skip
    y: Spec = {
        "field": "speed", "type": "quantitative", "scale": {"domain": [low, top], "nice": False},
        "axis": {"title": None, "values": round_ticks(low, top, 6), "format": FORMAT},
    }  # fmt: skip
    return {
        "width": theme.width,
        "height": HEIGHT,
        "title": heading("times as fast as the first valid run of its line", theme.muted),
        "data": {"values": values},
        "encoding": {"x": x, "color": coloured()},
        "layer": [
            {
                "transform": [{"filter": "datum.filled > 0"}],
                "mark": {"type": "line", "strokeWidth": 2, "aria": False},
                "encoding": {"y": y, "detail": {"field": "line", "type": "nominal"}},
            },
            *points_with_intervals(y),
        ],
    }


CHART = Chart(
    name="history",
    title="This machine over time",
    reading="Each line is one workload, engine, device, tuning and precision, beside its own first "
    "valid run. Lines connect valid runs; 'epochmark history' names what changed between them.",
    draw=draw,
)
