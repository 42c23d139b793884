"""The newest scaling: rate and efficiency of each proven number of devices, beside what would be
ideal."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.analysis.scaling.efficiency import efficiency_interval
from epochmark.analysis.timing.headline import workload_of
from epochmark.records.documents.scaling import Efficiency, Scaling, ScalingEntry
from epochmark.records.wording import counted
from epochmark.report.digits import range_text, significant, value_text
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.lines import lines_of
from epochmark.report.drawing.series import coloured, outlined, points_with_intervals
from epochmark.report.drawing.spec import Spec, heading
from epochmark.report.drawing.theme import Theme
from epochmark.report.drawing.ticks import FORMAT, round_ticks
from epochmark.report.figures import other_workload
from epochmark.report.subject import Subject

HEIGHT, LOW_HEIGHT = 230, 150
ROOM = 1.06
"""Of an axis beyond the highest value."""


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """A panel of rates and one of efficiencies; None where the newest scaling, which the
    text describes, has no number of devices that is rated and proven."""
    if not subject.scalings:
        return None
    scaling = subject.scalings[-1]
    ours = Entry("measured", theme.own, "series")
    rates, shares = _rates(scaling, ours), _shares(scaling, ours)
    if not shares:
        return None
    unit = workload_of(scaling.workload).unit
    panels = [
        _panel(rates, f"{unit} per second", HEIGHT, theme, labelled=False),
        _panel(shares, "efficiency in percent", LOW_HEIGHT, theme, labelled=True),
    ]
    return Drawing(
        spec={"vconcat": panels, "spacing": 16},
        alt="; ".join(value["says"] for value in shares),
        about=", ".join(
            [
                scaling.machine.cpu,
                f"{scaling.mode} scaling with {scaling.engine.title}",
                *other_workload(scaling.workload.name),
            ]
        ),
        key=(
            ours,
            Entry("95 % interval", theme.muted, "whisker"),
            Entry("ideal: as many times one device", theme.ink, "dashes"),
        ),
    )


def _proven(scaling: Scaling) -> list[tuple[ScalingEntry, Efficiency]]:
    pairs = zip(scaling.entries, scaling.efficiencies, strict=True)
    return [(entry, found) for entry, found in pairs if found.precision is not None]


def _rates(scaling: Scaling, ours: Entry) -> list[Spec]:
    """Targets a second; the base has no interval, since all others are known beside it only."""
    targets = workload_of(scaling.workload).targets_per_sample
    base = scaling.efficiencies[0].samples_per_s
    values = []
    for entry, found in _proven(scaling):
        if found.samples_per_s is None or base is None:
            continue
        ideal = base * targets * entry.devices
        shares = (found.efficiency or 1.0, found.low or 1.0, found.high or 1.0)
        middle, low, high = (ideal * share for share in shares)
        says = f"{_named(entry)}: {significant(middle)} a second"
        values.append(_value(ours, entry.devices, (middle, low, high), ideal, says))
    return values


def _shares(scaling: Scaling, ours: Entry) -> list[Spec]:
    values = []
    for entry, found in _proven(scaling):
        interval = efficiency_interval(found)
        if interval is None:
            continue
        says = (
            f"{_named(entry)}: {scaling.mode} efficiency {value_text(interval, 1)} % "
            f"({range_text(interval, 1)})"
        )
        bounds = (interval.median, interval.low, interval.high)
        values.append(_value(ours, entry.devices, bounds, 100.0, says))
    return values


def _named(entry: ScalingEntry) -> str:
    return counted(entry.devices, "device")


def _value(
    ours: Entry, devices: int, bounds: tuple[float, float, float], ideal: float, says: str
) -> Spec:
    middle, low, high = bounds
    return {
        **outlined(ours), "devices": devices, "value": middle, "low": low, "high": high,
        "ideal": ideal, "says": says,
    }  # fmt: skip


def _panel(
    values: Sequence[Spec], title: str, height: int, theme: Theme, *, labelled: bool
) -> Spec:
    counts = sorted({1, *(value["devices"] for value in values)})
    top = ROOM * max(max(value["high"], value["ideal"]) for value in values)
    x: Spec = {
        "field": "devices", "type": "quantitative",
        "scale": {"domain": [0, counts[-1] + 1], "nice": False},
        "axis": {"title": lines_of("devices", theme.width) if labelled else None,
                 "values": counts, "grid": False, "format": FORMAT,
                 "labels": labelled, "ticks": labelled},
    }  # fmt: skip
    y: Spec = {
        "field": "value", "type": "quantitative", "scale": {"domain": [0, top], "nice": False},
        "axis": {"title": None, "values": round_ticks(0, top, height // 30), "format": FORMAT},
    }  # fmt: skip
    return {
        "width": theme.width,
        "height": height,
        "title": heading(title, theme.muted),
        "data": {"values": list(values)},
        "encoding": {"x": x, "color": coloured()},
        "layer": [_ideal(counts, values, y, theme), *points_with_intervals(y)],
    }


def _ideal(counts: Sequence[int], values: Sequence[Spec], y: Spec, theme: Theme) -> Spec:
    """From one device on: as many times it, or all of it."""
    first, last = values[0], values[-1]
    slope = (last["ideal"] - first["ideal"]) / max(1, last["devices"] - first["devices"])
    ends = [
        {"devices": count, "value": last["ideal"] - slope * (last["devices"] - count)}
        for count in (0, counts[-1] + 1)
    ]
    mark = {"type": "line", "strokeDash": [5, 4], "strokeWidth": 1.4, "color": theme.ink,
            "clip": True, "aria": False}  # fmt: skip
    return {
        "data": {"values": ends},
        "mark": mark,
        "encoding": {"y": y, "color": {"value": theme.ink}},
    }


CHART = Chart(
    name="scaling",
    title="What several devices give",
    reading="The dashed line is what the devices would do if they never waited for each other. "
    "How far the points stay below it is what communication and sharing cost.",
    draw=draw,
)
