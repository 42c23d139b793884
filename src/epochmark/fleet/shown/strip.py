"""The strip of a group: a point for each node by its seconds per epoch, outliers with names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from epochmark.fleet.report import GroupReport
from epochmark.fleet.shown.text import group_title, times_text
from epochmark.fleet.verdicts import SLOWER_SHARE, JudgedNode, Verdict
from epochmark.report.drawing.chart import Drawing
from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.lines import LINE, width_of
from epochmark.report.drawing.series import filled
from epochmark.report.drawing.spec import Spec
from epochmark.report.drawing.theme import Theme
from epochmark.report.drawing.ticks import FORMAT, most_ticks, round_ticks
from epochmark.report.figures import bare_seconds
from epochmark.report.plain_text import plain

POINT = 9
"""Pixels that a point takes, and from each to the next above it."""
HIGHEST = 18
"""Points above each other at most; more overlap."""
MOST_LABELS = 12
LONGEST_LABEL = 24
_SHAPES: dict[Verdict, str] = {
    "slow": "triangle-down", "suspected": "triangle-down", "fast": "triangle-up",
}  # fmt: skip


@dataclass(frozen=True)
class _Scale:
    """Seconds from left to right, pixels from the top to the ``floor``."""

    low: float
    high: float
    width: int
    ticks: list[float]
    floor: float = 0.0

    def pixel(self, value: float) -> float:
        """Where a value is."""
        return self.width * (value - self.low) / (self.high - self.low)


def strip_of(report: GroupReport, theme: Theme) -> Drawing | None:
    """None for fewer than two nodes with a figure."""
    timed = [node for node in report.findings.judged if node.epoch_s is not None]
    median_s = report.findings.median_s
    if len(timed) < 2 or median_s is None:
        return None
    scale = _scale_of([node.epoch_s or 0.0 for node in timed], median_s, theme)
    labelled = _labelled(report)
    heights = _stacked(timed, scale)
    scale = replace(scale, floor=LINE * len(labelled) + POINT * (max(heights.values()) + 1.0))
    points = {
        node.name: _point(node, scale.floor - POINT * (heights[node.name] + 0.5), theme)
        for node in timed
    }
    return Drawing(
        spec={
            "width": theme.width,
            "height": scale.floor,
            "layer": [
                *_lines(median_s, scale, theme),
                *_labels(labelled, points, scale, theme),
                _points([*points.values()], scale),
            ],
        },
        alt=_alt(report, timed),
        about=group_title(report),
        key=tuple(_key(timed, theme)),
    )


def _scale_of(figures: Sequence[float], median_s: float, theme: Theme) -> _Scale:
    """All figures, and the limit of 5 % on either side of the median."""
    low = min(*figures, median_s / (1 + SLOWER_SHARE))
    high = max(*figures, median_s * (1 + SLOWER_SHARE))
    room = (high - low) * POINT / theme.width
    low, high = low - room, high + room
    return _Scale(low, high, theme.width, round_ticks(low, high, most_ticks(theme)))


def _labelled(report: GroupReport) -> list[JudgedNode]:
    """Slow and suspected nodes first, then fast ones; the table has them all."""
    return report.findings.of("slow", "suspected", "fast")[:MOST_LABELS]


def _stacked(timed: Sequence[JudgedNode], scale: _Scale) -> dict[str, int]:
    """How high each point lies above the axis, in points, so that few overlap."""
    counts: dict[int, int] = defaultdict(int)
    heights = {}
    for node in sorted(timed, key=lambda node: node.epoch_s or 0.0):
        column = int(scale.pixel(node.epoch_s or 0.0) / POINT)
        heights[node.name] = counts[column] % HIGHEST
        counts[column] += 1
    return heights


def _point(node: JudgedNode, y: float, theme: Theme) -> Spec:
    colours: dict[Verdict, str] = {
        "slow": theme.doubtful, "suspected": theme.doubtful, "fast": theme.own,
    }  # fmt: skip
    return {
        "node": node.name,
        "x": node.epoch_s,
        "y": y,
        "colour": colours.get(node.verdict, theme.other),
        "shape": _SHAPES.get(node.verdict, "circle"),
        "filled": 0.0 if node.verdict in ("suspected", "not judged") else 1.0,
        "says": f"{plain(node.name)}: {bare_seconds(node.epoch_s)} s, {node.verdict}"[:200],
    }


def _place(scale: _Scale, *ends: str) -> Spec:
    """The encodings of a place: seconds across, pixels down; ``ends`` are those of a rule."""
    x: Spec = {
        "field": "x",
        "type": "quantitative",
        "scale": {"domain": [scale.low, scale.high], "nice": False, "zero": False},
        "axis": {
            "title": "steady epoch, seconds",
            "values": scale.ticks,
            "format": FORMAT,
            "grid": False,
        },
    }
    y: Spec = {
        "field": "y",
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [0, scale.floor], "reverse": True, "nice": False, "zero": False},
    }
    return {"x": x, "y": y, **{end: {"field": end} for end in ends}}


def _points(points: Sequence[Spec], scale: _Scale) -> Spec:
    return {
        "data": {"values": list(points)},
        "mark": {"type": "point", "size": 0.7 * POINT * POINT, "strokeWidth": 1.5, "opacity": 1},
        "encoding": {**_place(scale), **filled(), "description": {"field": "says"}},
    }


def _lines(median_s: float, scale: _Scale, theme: Theme) -> list[Spec]:
    """The median, and where a node is 5 % slower."""
    limit_s = median_s * (1 + SLOWER_SHARE)
    marks: list[tuple[float, Spec]] = [
        (median_s, {"color": theme.ink}),
        (limit_s, {"color": theme.doubtful, "strokeDash": [5, 4]}),
    ]
    return [
        {
            "data": {"values": [{"x": seconds, "y": 0, "y2": scale.floor}]},
            "mark": {"type": "rule", "strokeWidth": 1.2, "aria": False, **mark},
            "encoding": _place(scale, "y2"),
        }
        for seconds, mark in marks
    ]


def _labels(
    labelled: Sequence[JudgedNode], points: Mapping[str, Spec], scale: _Scale, theme: Theme
) -> list[Spec]:
    """Each label in a line of its own above the points, and a rule down to its point. Where there
    is no room to the right of it, it stands to the left."""
    texts: dict[bool, list[Spec]] = {False: [], True: []}
    rules = []
    for number, node in enumerate(labelled):
        text = f"{plain(node.name)[:LONGEST_LABEL]} {times_text(node.times_as_long)}"
        left = scale.pixel(node.epoch_s or 0.0) + width_of(text) > scale.width
        place = {"x": node.epoch_s, "y": LINE * (number + 0.5)}
        texts[left].append({**place, "text": text})
        rules.append({**place, "y2": points[node.name]["y"]})
    ruled: Spec = {
        "data": {"values": rules},
        "mark": {"type": "rule", "strokeWidth": 0.8, "color": theme.muted, "aria": False},
        "encoding": _place(scale, "y2"),
    }
    written = [_texts(values, left, scale) for left, values in texts.items() if values]
    return [ruled, *written] if labelled else []


def _texts(values: Sequence[Spec], left: bool, scale: _Scale) -> Spec:
    return {
        "data": {"values": list(values)},
        "mark": {
            "type": "text",
            "align": "right" if left else "left",
            "dx": -4 if left else 4,
            "baseline": "middle",
            "aria": False,
        },
        "encoding": {**_place(scale), "text": {"field": "text"}},
    }


def _key(timed: Sequence[JudgedNode], theme: Theme) -> list[Entry]:
    """Every mark in the strip."""
    verdicts = {node.verdict for node in timed}
    entries = []
    if "slow" in verdicts:
        entries.append(Entry("slow", theme.doubtful, "point", _SHAPES["slow"]))
    if "suspected" in verdicts:
        entries.append(Entry("suspected", theme.doubtful, "point", _SHAPES["suspected"], 0.0))
    if "alike" in verdicts:
        entries.append(Entry("alike", theme.other, "point"))
    if "fast" in verdicts:
        entries.append(Entry("fast", theme.own, "point", _SHAPES["fast"]))
    if "not judged" in verdicts:
        entries.append(Entry("not judged", theme.other, "point", "circle", 0.0))
    return [
        *entries, Entry("median", theme.ink, "line"), Entry("5 % slower", theme.doubtful, "dashes"),
    ]  # fmt: skip


def _alt(report: GroupReport, timed: Sequence[JudgedNode]) -> str:
    outliers = "; ".join(
        f"{node.name} {bare_seconds(node.epoch_s)} s, {node.verdict}" for node in _labelled(report)
    )
    return f"{len(timed)} nodes around {bare_seconds(report.findings.median_s)} s. {outliers}"
