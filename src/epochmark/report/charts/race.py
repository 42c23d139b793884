"""The newest race: each entry's ratio to the first, turn by turn, with its running interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from epochmark.analysis.racing.ratio import FEWEST_PAIRS, RaceRatio, ratio_of
from epochmark.analysis.racing.standings import log_ratios_of
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.documents.race import first_ranked, names_of
from epochmark.report.digits import range_text, value_text
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.lines import lines_of
from epochmark.report.drawing.spec import Spec, heading
from epochmark.report.drawing.theme import Theme
from epochmark.report.drawing.ticks import FORMAT, most_ticks, round_ticks
from epochmark.report.subject import Subject

HEIGHT, LOW_HEIGHT = 230, 84
"""Of the panel of a single entry beside the first, and of each of several."""
MOST_LOOKS = 60
"""The number of places at which the running interval is drawn, at most."""
SEEN = 0.9
"""The share of the points that the axis must hold; the farthest would leave the rest no room."""
NEAR = 0.1
"""From 1: within that the axis reaches to it."""
BAND, POINT = 0.22, 0.5
DECIMALS = 3


class _Running(NamedTuple):
    """An entry's log ratios, and what they said on the way: rounds so far, with the ratio."""

    name: str
    logs: Sequence[float]
    looks: Sequence[tuple[int, RaceRatio]]


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """A panel for each entry that is compared, below each other; None without any."""
    if not subject.races:
        return None
    race = subject.races[-1]
    entries = [_running(names_of(race)[place], logs) for place, logs in log_ratios_of(race).items()]
    entries = [entry for entry in entries if entry.looks]
    if not entries:
        return None
    first = first_ranked(race)
    key = (
        Entry("a turn", theme.own, "point", outlined=False, opacity=POINT),
        Entry("ratio of all turns so far", theme.own, "line"),
        Entry("its 95 % interval", theme.own, "box", outlined=False, opacity=BAND),
        Entry(f"as long as {first}", theme.ink, "dashes"),
    )
    return Drawing(
        spec={"vconcat": _panels(entries, theme), "spacing": 16},
        alt="; ".join(_says(entry, first) for entry in entries),
        about=f"{race.entries[0].record.machine.cpu}, times as long as {first}",
        key=key,
    )


def _running(name: str, logs: Sequence[float]) -> _Running:
    count = min(MOST_LOOKS, max(0, len(logs) - FEWEST_PAIRS + 1))
    places = np.unique(np.linspace(FEWEST_PAIRS, len(logs), count).astype(int)).tolist()
    looks = [(place, ratio_of(logs[:place])) for place in places]
    return _Running(name, logs, [(place, ratio) for place, ratio in looks if ratio is not None])


def _figure(entry: _Running) -> Interval:
    found = entry.looks[-1][1]
    return Interval(found.ratio, found.low, found.high, found.pairs)


def _says(entry: _Running, first: str) -> str:
    figure = _figure(entry)
    times = f"{value_text(figure, DECIMALS)} times as long as {first}"
    return f"{entry.name} takes {times} ({range_text(figure, DECIMALS)})"


def _panels(entries: Sequence[_Running], theme: Theme) -> list[Spec]:
    """Only the last one names the axis that all share."""
    rounds = max(len(entry.logs) for entry in entries)
    height = HEIGHT if len(entries) == 1 else LOW_HEIGHT
    panels: list[Spec] = []
    for entry in entries:
        x, y = _across(rounds, entry is entries[-1], theme), _up(entry, height)
        figure = _figure(entry)
        text = f"{entry.name}: {value_text(figure, DECIMALS)} ({range_text(figure, DECIMALS)})"
        panels.append(
            {
                "width": theme.width,
                "height": height,
                "title": {**heading("", theme.muted), "text": lines_of(text, theme.width)},
                "layer": [
                    _level(y, theme),
                    _points(entry, x, y, theme),
                    *_looks(entry, x, y, theme),
                ],
            }
        )
    return panels


def _across(rounds: int, is_labelled: bool, theme: Theme) -> Spec:
    return {
        "type": "quantitative",
        "scale": {"domain": [0, rounds + 1], "nice": False},
        "axis": {
            "title": lines_of("rounds of turns", theme.width) if is_labelled else None,
            "values": round_ticks(0, rounds, most_ticks(theme)),
            "format": FORMAT,
            "grid": False,
            "labels": is_labelled,
            "ticks": is_labelled,
        },
    }


def _up(entry: _Running, height: int) -> Spec:
    low, high = _domain(entry)
    return {
        "type": "quantitative",
        "scale": {"domain": [low, high], "nice": False, "zero": False},
        "axis": {"title": None, "values": round_ticks(low, high, height // 22), "format": FORMAT},
    }


def _domain(entry: _Running) -> tuple[float, float]:
    """Most points, all of the later intervals, and 1 where that is near."""
    outside = (1 - SEEN) / 2
    ends = np.exp(np.quantile(entry.logs, (outside, 1 - outside)))
    later = [ratio for _, ratio in entry.looks[len(entry.looks) // 4 :]]
    low = min([float(ends[0]), *(ratio.low for ratio in later)])
    high = max([float(ends[1]), *(ratio.high for ratio in later)])
    if low <= 1 + NEAR and high >= 1 - NEAR:
        low, high = min(low, 1.0), max(high, 1.0)
    room = max(0.08 * (high - low), 0.002 * high)
    return low - room, high + room


def _level(y: Spec, theme: Theme) -> Spec:
    """Where an entry takes as long as the first."""
    mark = {"type": "rule", "strokeDash": [5, 4], "strokeWidth": 1.4, "color": theme.ink,
            "clip": True, "aria": False}  # fmt: skip
    values = [{"level": 1.0}]
    return {"data": {"values": values}, "mark": mark, "encoding": {"y": {**y, "field": "level"}}}


def _points(entry: _Running, x: Spec, y: Spec, theme: Theme) -> Spec:
    """The turns; what lies beyond the axis at its end."""
    low, high = y["scale"]["domain"]
    values = [
        {"round": number, "ratio": min(max(math.exp(log), low), high),
         "says": f"{entry.name}, round {number}: {math.exp(log):.3f} times as long"}
        for number, log in enumerate(entry.logs, start=1)
    ]  # fmt: skip
    mark = {"type": "point", "filled": True, "size": 16, "opacity": POINT, "color": theme.own}
    return {
        "data": {"values": values},
        "mark": mark,
        "encoding": {
            "x": {**x, "field": "round"},
            "y": {**y, "field": "ratio"},
            "description": {"field": "says"},
        },
    }


def _looks(entry: _Running, x: Spec, y: Spec, theme: Theme) -> list[Spec]:
    """The band of the running interval, and the ratio in it."""
    values = [
        {"round": place, "ratio": ratio.ratio, "low": ratio.low, "high": ratio.high}
        for place, ratio in entry.looks
    ]
    across = {"x": {**x, "field": "round"}}
    band = {"type": "area", "color": theme.own, "opacity": BAND, "clip": True, "aria": False}
    mark = {"type": "line", "color": theme.own, "strokeWidth": 2, "clip": True, "aria": False}
    return [
        {"data": {"values": values}, "mark": band,
         "encoding": {**across, "y": {**y, "field": "low"}, "y2": {"field": "high"}}},
        {"data": {"values": values}, "mark": mark,
         "encoding": {**across, "y": {**y, "field": "ratio"}}},
    ]  # fmt: skip


CHART = Chart(
    name="race",
    title="A race, turn by turn",
    reading="Below 1 an entry is faster than the first, above it slower. Each point is its turn of "
    "a round beside the first's; points beyond the axis lie at its end. The band is what was known "
    "of the ratio by then.",
    draw=draw,
)
