"""The newest race: the ratio of each entry, pair of turns by pair, with its running interval."""

from __future__ import annotations

import math
from collections.abc import Sequence

from epochmark.analysis.racing.ratio import FEWEST_PAIRS, ratio_of
from epochmark.analysis.racing.standings import log_ratios_of
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.race import names_of
from epochmark.report.digits import range_text, value_text
from epochmark.report.drawing.chart import Chart, Drawing
from epochmark.report.drawing.key import Entry
from epochmark.report.drawing.lines import lines_of
from epochmark.report.drawing.spec import Spec, heading
from epochmark.report.drawing.theme import Theme
from epochmark.report.drawing.ticks import FORMAT, most_ticks, round_ticks
from epochmark.report.subject import Subject

HEIGHT = 110
"""Of the panel of an entry; a race has five besides the first."""
MOST_INTERVALS = 40
"""Of a running interval; each is computed from all pairs so far."""
BAND = 0.25
DECIMALS = 3
FAR = 3.0
"""Pairs further from the last ratio than this many of its widest half intervals are not in sight:
a single disturbed turn would flatten all others."""


def draw(subject: Subject, theme: Theme) -> Drawing | None:
    """A panel for each entry that is compared; None without any."""
    if not subject.races:
        return None
    race = subject.races[-1]
    names = names_of(race)
    logs = {place: found for place, found in log_ratios_of(race).items() if _is_enough(found)}
    if not logs:
        return None
    first = next(
        name
        for name, standing in zip(names, race.standings, strict=True)
        if standing.place != "out"
    )
    panels = [_panel(names[place], first, found, theme) for place, found in logs.items()]
    return Drawing(
        spec={"vconcat": panels, "spacing": 22},
        alt="; ".join(_says(names[place], first, found) for place, found in logs.items()),
        about=race.entries[0].record.machine.cpu,
        key=(
            Entry("a pair of turns", theme.muted, "point", opacity=0.5),
            Entry("ratio of all pairs so far", theme.own, "line"),
            Entry("its 95 % interval", theme.own, "box", opacity=BAND),
            Entry("no difference", theme.muted, "dashes"),
        ),
    )


def _is_enough(logs: Sequence[float]) -> bool:
    return len(logs) >= FEWEST_PAIRS


def _says(name: str, first: str, logs: Sequence[float]) -> str:
    found = ratio_of(logs)
    assert found is not None, "there are enough pairs"
    ratio = Interval(found.ratio, found.low, found.high, found.pairs)
    times = f"{value_text(ratio, DECIMALS)} times as long as {first}"
    return f"{name} takes {times} ({range_text(ratio, DECIMALS)})"


def _running(logs: Sequence[float]) -> list[Spec]:
    """The ratio of the pairs up to some, with its interval; the last is that of all."""
    step = max(1, math.ceil((len(logs) - FEWEST_PAIRS + 1) / MOST_INTERVALS))
    values = []
    for count in range(len(logs), FEWEST_PAIRS - 1, -step):
        found = ratio_of(logs[:count])
        assert found is not None, "there are enough pairs"
        values.append({"pair": count, "ratio": found.ratio, "low": found.low, "high": found.high})
    return values[::-1]


def _panel(name: str, first: str, logs: Sequence[float], theme: Theme) -> Spec:
    running = _running(logs)
    last = running[-1]["ratio"]
    reach = FAR * max(max(known["high"] - last, last - known["low"]) for known in running)
    low, high = min(1.0, last - reach), max(1.0, last + reach)
    points = [
        {"pair": number, "ratio": math.exp(log)}
        for number, log in enumerate(logs, start=1)
        if low <= math.exp(log) <= high
    ]
    x: Spec = {
        "field": "pair", "type": "quantitative", "scale": {"nice": False, "domain": [0, len(logs)]},
        "axis": {"title": "pair of turns", "grid": False, "format": "d",
                 "values": round_ticks(0, len(logs), most_ticks(theme))},
    }  # fmt: skip
    y: Spec = {
        "field": "ratio", "type": "quantitative",
        "scale": {"domain": [low, high], "nice": False, "zero": False},
        "axis": {"title": None, "values": round_ticks(low, high, 5), "format": FORMAT},
    }  # fmt: skip
    text = lines_of(f"{name}: times as long as {first}", theme.width, most=2)
    return {
        "width": theme.width,
        "height": HEIGHT,
        "title": {**heading("", theme.muted), "text": text},
        "layer": [
            {
                "data": {"values": [{"ratio": 1.0}]},
                "mark": {"type": "rule", "color": theme.muted, "strokeDash": [5, 4]},
                "encoding": {"y": y},
            },
            {
                "data": {"values": points},
                "mark": {"type": "point", "filled": True, "size": 22, "opacity": 0.5,
                         "color": theme.muted, "aria": False},
                "encoding": {"x": x, "y": y},
            },
            {
                "data": {"values": running},
                "mark": {"type": "area", "color": theme.own, "opacity": BAND, "aria": False},
                "encoding": {"x": x, "y": {**y, "field": "low"}, "y2": {"field": "high"}},
            },
            {
                "data": {"values": running},
                "mark": {"type": "line", "color": theme.own, "strokeWidth": 2, "aria": False},
                "encoding": {"x": x, "y": y},
            },
        ],
    }  # fmt: skip


CHART = Chart(
    name="race",
    title="A race, turn by turn",
    reading="Below 1 an entry is faster than the first, above it slower. Each point is one turn of "
    "both; the band is what was known of the ratio by then.",
    draw=draw,
)
