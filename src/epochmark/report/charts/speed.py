"""Speed over the run in focus: warm-up, drift, interruptions."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.analysis.timing.beside import FOREIGN_CPUS
from epochmark.analysis.timing.headline import images_of_each, steady_of, workload_of
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.analysis.timing.undisturbed import undisturbed_of
from epochmark.records.findings import FindingCode
from epochmark.records.record import Record
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.lines import lines_of
from epochmark.report.drawing.spec import Spec, heading
from epochmark.report.drawing.theme import Theme
from epochmark.report.drawing.ticks import FORMAT, most_ticks, round_ticks
from epochmark.report.figures import run_in_words, samples_of
from epochmark.report.subject import Subject

HEIGHT = 220
TAKEN_CPUS = FOREIGN_CPUS
"""So much of a CPU, used by others, slows an engine that waits for its slowest thread."""
DRIFTED = (FindingCode.DRIFTING.value, FindingCode.THROTTLED.value)
TAKEN, DRIFT = 0.16, 0.3
"""How much of their colour the shades of a disturbance and of a drift have."""
MOST_POINTS = 300
"""Laps beyond that are drawn in groups: a screen shows no more."""


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """Images or sequences per second of each lap; None when there are fewer than three laps."""
    record = subject.focus
    if record is None or len(record.timing.laps) < 3:
        return None
    points = lap_speeds(record, MOST_POINTS)
    samples = samples_of(record.workload.name)
    warm_up = "warm-up, not part of the steady speed"
    laps = [_below(points, theme), _speed(points, samples, theme)]
    parts = [
        (Entry(warm_up, theme.shade, "box"), _warm_up(record, theme)),
        (Entry(_lap_text(record), theme.own, "line"), laps),
        (Entry("steady speed", theme.ink, "dashes"), _median(record, theme)),
        (Entry("when undisturbed", theme.series[2], "line"), _undisturbed(record, theme)),
        (Entry("drift", theme.doubtful, "line"), _drift(record, theme)),
        (Entry("other programs took processor time", theme.doubtful, "box", opacity=TAKEN),
         _disturbance(record, theme)),
    ]  # fmt: skip
    spec: Spec = {
        "width": theme.width,
        "height": HEIGHT,
        "title": heading(f"{samples} per second", theme.muted),
        "layer": [layer for _, layers in parts for layer in layers],
    }
    speeds = [point["images_per_s"] for point in points]
    alt = (
        f"{record.engine.name}: {samples} per second over {points[-1]['end_s']:.1f} s of training, "
        f"between {min(speeds):,.0f} and {max(speeds):,.0f}"
    )
    key = tuple(entry for entry, layers in parts if layers)
    return Drawing(spec, alt, run_in_words(record), key)


def _lap_text(record: Record) -> str:
    return "a lap" if len(record.timing.laps) <= MOST_POINTS else "a few laps together"


def lap_speeds(record: Record, most: int) -> list[dict[str, float]]:
    """Start and end in seconds since the clock started, epoch, and images per second, of each lap;
    of each group of neighbouring laps where there are more than ``most``."""
    laps = record.timing.laps
    images = images_of_each(laps, record.workload)
    size = -(-len(laps) // most)
    speeds = []
    start_ns = 0
    for start in range(0, len(laps), size):
        last = laps[start : start + size][-1]
        lasted_s = (last.end_ns - start_ns) / NANOSECONDS
        speeds.append(
            {
                "start_s": start_ns / NANOSECONDS,
                "end_s": last.end_ns / NANOSECONDS,
                "epoch": last.epoch,
                "images_per_s": sum(images[start : start + size]) / lasted_s,
            }
        )
        start_ns = last.end_ns
    return speeds


def _warm_up(record: Record, theme: Theme) -> list[Spec]:
    """A shade over what the steady figure leaves out, if it leaves anything out."""
    steady = steady_of(record)
    if steady is None or steady.warm_up_s == 0:
        return []
    says = f"the first {steady.warm_up_s:.2f} s: warm-up, not part of the steady figure"
    return [_shade([{"start": 0, "end": steady.warm_up_s, "says": says}], theme.shade)]


def _shade(spans: list[Spec], colour: str, opacity: float = 1.0) -> Spec:
    """Rectangles from ``start`` to ``end`` seconds over the whole height."""
    return {
        "data": {"values": spans},
        "mark": {"type": "rect", "color": colour, "opacity": opacity},
        "encoding": {
            "x": {"field": "start", "type": "quantitative"},
            "x2": {"field": "end"},
            "description": {"field": "says"},
        },
    }


def _disturbance(record: Record, theme: Theme) -> list[Spec]:
    """A shade with a mark at its top where other programs or the host took processor time."""
    calm = record.calm
    if calm is None or calm.foreign_cpu_s is None:
        return []
    spans: list[Spec] = []
    steal = calm.steal_cpu_s or [0.0] * len(calm.end_s)
    starts_s = [0.0, *calm.end_s]
    for start_s, end_s, foreign_s, steal_s in zip(
        starts_s, calm.end_s, calm.foreign_cpu_s, steal, strict=False
    ):
        taken = (foreign_s + steal_s) / (end_s - start_s) if end_s > start_s else 0.0
        if taken > TAKEN_CPUS:
            says = f"{start_s:.1f} to {end_s:.1f} s: other programs took {taken:.2f} CPUs"
            spans.append({"start": start_s, "end": end_s, "says": says})
    if not spans:
        return []
    shade, mark = _shade(spans, theme.doubtful, TAKEN), _shade(spans, theme.doubtful)
    mark["encoding"]["y"] = {"value": 0}
    mark["encoding"]["y2"] = {"value": 7}
    return [shade, mark]


def _below(points: Sequence[dict[str, float]], theme: Theme) -> Spec:
    """The area below all laps, as one path."""
    corners = [{"at_s": points[0]["start_s"], "images_per_s": points[0]["images_per_s"]}]
    corners += [{"at_s": p["end_s"], "images_per_s": p["images_per_s"]} for p in points]
    return {
        "data": {"values": corners},
        "mark": {
            "type": "area", "interpolate": "step-before", "color": theme.own, "opacity": 0.14,
            "aria": False,
        },
        "encoding": {
            "x": {"field": "at_s", "type": "quantitative"},
            "y": {"field": "images_per_s", "type": "quantitative"},
        },
    }  # fmt: skip


def _speed(points: Sequence[dict[str, float]], samples: str, theme: Theme) -> Spec:
    values = [
        {**point, "says": f"{point['end_s']:.2f} s, epoch {point['epoch']:.0f}: "
         f"{point['images_per_s']:,.0f} {samples}/s"}
        for point in points
    ]  # fmt: skip
    end_s = points[-1]["end_s"]
    top = 1.08 * max(point["images_per_s"] for point in points)
    return {
        "data": {"values": values},
        "mark": {"type": "rule", "strokeWidth": 2.4, "color": theme.own},
        "encoding": {
            "x": {
                "field": "start_s",
                "type": "quantitative",
                "scale": {"domain": [0, end_s], "nice": False},
                "axis": {
                    "title": lines_of("seconds since training began", theme.width),
                    "values": round_ticks(0, end_s, most_ticks(theme)),
                    "format": FORMAT,
                    "grid": False,
                },
            },
            "x2": {"field": "end_s"},
            "y": {
                "field": "images_per_s",
                "type": "quantitative",
                "scale": {"domain": [0, top], "nice": False},
                "axis": {"title": None, "values": round_ticks(0, top, 6), "format": FORMAT},
            },
            "description": {"field": "says"},
        },
    }


def _median(record: Record, theme: Theme) -> list[Spec]:
    images_per_s = record.headline.images_per_s
    if images_per_s is None:
        return []
    return [
        {
            "data": {"values": [{"images_per_s": images_per_s}]},
            "mark": {
                "type": "rule", "strokeDash": [5, 4], "strokeWidth": 1.4, "color": theme.ink,
                "aria": False,
            },
            "encoding": {"y": {"field": "images_per_s", "type": "quantitative"}},
        }
    ]  # fmt: skip


def _undisturbed(record: Record, theme: Theme) -> list[Spec]:
    """The speed of an unsteady run in its calm stretches, over each of them."""
    calm = undisturbed_of(record)
    if calm is None:
        return []
    images_per_s = workload_of(record.workload).train_samples / calm.epoch_s
    says = f"when undisturbed: {images_per_s:,.0f} {samples_of(record.workload.name)}/s"
    spans = [
        {"start": span.start_s, "end": span.end_s, "images_per_s": images_per_s, "says": says}
        for span in calm.stretches
    ]
    return [
        {
            "data": {"values": spans},
            "mark": {"type": "rule", "strokeWidth": 3.5, "color": theme.series[2]},
            "encoding": {
                "x": {"field": "start", "type": "quantitative"},
                "x2": {"field": "end"},
                "y": {"field": "images_per_s", "type": "quantitative"},
                "description": {"field": "says"},
            },
        }
    ]


def _drift(record: Record, theme: Theme) -> list[Spec]:
    """The trend of a run that drifted, from its warm part's beginning to its end, and a shade
    between it and the steady speed."""
    steady, images_per_s = steady_of(record), record.headline.images_per_s
    drifted = any(finding.code in DRIFTED for finding in record.findings)
    if not drifted or images_per_s is None or steady is None or steady.drift is None:
        return []
    half = max(-0.9, min(0.9, steady.drift.change / 2))
    trend = [
        {"at_s": steady.warm_up_s, "trend": images_per_s / (1 - half), "steady": images_per_s},
        {"at_s": steady.warm_up_s + steady.warm_s, "trend": images_per_s / (1 + half),
         "steady": images_per_s},
    ]  # fmt: skip
    says = f"drift: {abs(steady.drift.change):.1%} {'slower' if half > 0 else 'faster'} in the end"
    x: Spec = {"field": "at_s", "type": "quantitative"}
    y: Spec = {"field": "trend", "type": "quantitative"}
    shade = {"type": "area", "color": theme.doubtful, "opacity": DRIFT, "description": says}
    line = {"type": "line", "color": theme.doubtful, "strokeWidth": 2, "aria": False}
    return [
        {"data": {"values": trend}, "mark": shade,
         "encoding": {"x": x, "y": y, "y2": {"field": "steady"}}},
        {"data": {"values": trend}, "mark": line, "encoding": {"x": x, "y": y}},
    ]  # fmt: skip


CHART = Chart(
    name="speed",
    title="Speed over the run",
    reading="Each stroke is a lap: how long it lasted and how much it trained in a second. A "
    "level line is a calm machine; a slope is heat or drift, a dip is something else that ran.",
    draw=draw,
)
