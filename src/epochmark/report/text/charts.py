"""Small charts in text: this machine among comparable ones, and the speed of the laps."""

from __future__ import annotations

import math
from collections.abc import Sequence

from epochmark.analysis.comparing.comparability import key_of
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.record import Record
from epochmark.report.charts.speed import lap_speeds
from epochmark.report.digits import significant, value_text
from epochmark.report.figures import device_id, shortened, steady_interval, targets_of, unit_of
from epochmark.report.subject import Subject, figures_of

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = "▁▂▃▄▅▆▇█"
MOST_BARS = 10
NARROWEST = 60
"""Columns below which bars say nothing."""
SPARKS = 40
LOGARITHMIC_FROM = 20.0
"""From this ratio of the longest to the shortest bar on, the short ones would all look alike."""
SHORTEST = 0.1
"""Share of the room that the shortest of logarithmic bars has."""


def comparison_lines(subject: Subject, width: int | None) -> list[str]:
    """The run in focus among comparable machines, else beside the other engines here; nothing when
    it is alone. ``width`` is that of the terminal; None where bars cannot be shown."""
    rows = _machines(subject)
    title = "the same engine and settings on other machines"
    if len(rows) < 2:
        rows = _engines(subject)
        title = "other engines on this machine (different programs: not ranked)"
    if len(rows) < 2:
        return []
    shown = rows[:MOST_BARS]
    return [f"steady epoch, {title}; {_reading(shown, width)}:", "", *bar_lines(shown, width)]


Row = tuple[str, Interval]
"""A name and seconds."""


def _machines(subject: Subject) -> list[Row]:
    """Measured machines, fastest first, with this one among those shown. Published ones are not
    repeated: the table that comes with a full run has them."""
    if subject.focus is None:
        return []
    rows = [
        ("this machine" if figure.own else figure.machine, figure.steady_epoch)
        for figure in figures_of(subject, key_of(subject.focus))
    ]
    own = [place for place, (name, _) in enumerate(rows) if name == "this machine"]
    if not own:
        return []
    return rows if own[0] < MOST_BARS else [*rows[: MOST_BARS - 1], rows[own[0]]]


def _engines(subject: Subject) -> list[Row]:
    """The newest run of each engine here, fastest first."""
    found = [(record, steady_interval(record)) for record in subject.newest_own()]
    rows = [(_engine_name(record), steady) for record, steady in found if steady is not None]
    return sorted(rows, key=lambda row: row[1].median)


def _engine_name(record: Record) -> str:
    doubt = " (disturbed)" if record.headline.validity == "disturbed" else ""
    return f"{record.engine.name} on {device_id(record)}, {record.engine.tuning}{doubt}"


def bar_lines(rows: Sequence[Row], width: int | None) -> list[str]:
    """A line for each name and its seconds, with a bar where there is room for one; logarithmic
    where the longest would be ``LOGARITHMIC_FROM`` times as long as the shortest."""
    room = _room(rows, width)
    left = max(len(shortened(name)) for name, _ in rows)
    right = max(len(_figure(seconds)) for _, seconds in rows)
    lines = []
    for (name, seconds), share in zip(rows, _shares(rows), strict=True):
        bar = f"  {_bar(share, room):<{room}}" if room else ""
        lines.append(f"  {shortened(name):<{left}}{bar}  {_figure(seconds):>{right}}")
    return lines


def _figure(seconds: Interval) -> str:
    return f"{value_text(seconds)} s"


def _room(rows: Sequence[Row], width: int | None) -> int:
    """Columns for the longest bar; 0 where there are too few."""
    if width is None or width < NARROWEST:
        return 0
    names = max(len(shortened(name)) for name, _ in rows)
    figures = max(len(_figure(seconds)) for _, seconds in rows)
    room = min(40, width - names - figures - 6)
    return room if room > 4 and max(seconds.median for _, seconds in rows) > 0 else 0


def _reading(rows: Sequence[Row], width: int | None) -> str:
    """How the bars are to be read."""
    if not _room(rows, width):
        return "fastest first"
    return f"shorter is faster{', logarithmic' if _is_logarithmic(rows) else ''}"


def _is_logarithmic(rows: Sequence[Row]) -> bool:
    seconds = [interval.median for _, interval in rows]
    return 0 < min(seconds) * LOGARITHMIC_FROM <= max(seconds)


def _shares(rows: Sequence[Row]) -> list[float]:
    """How long each bar is, of the longest."""
    seconds = [interval.median for _, interval in rows]
    shortest, longest = min(seconds), max(seconds)
    if not _is_logarithmic(rows):
        return [value / longest if longest else 0.0 for value in seconds]
    decades = math.log(longest / shortest)
    return [SHORTEST + (1 - SHORTEST) * math.log(value / shortest) / decades for value in seconds]


def _bar(share: float, room: int) -> str:
    eighths = max(1, round(share * room * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def lap_line(record: Record, width: int | None) -> str | None:
    """The speed of the laps from first to last, as a line; None for fewer than three laps."""
    if len(record.timing.laps) < 3:
        return None
    unit, targets = unit_of(record.workload.name), targets_of(record.workload.name)
    speeds = [targets * point["images_per_s"] for point in lap_speeds(record, SPARKS)]
    span = f"{significant(min(speeds))} to {significant(max(speeds))} {unit}/s"
    if width is None or width < NARROWEST:
        return span
    return f"{sparkline(speeds)}  {span}"


def sparkline(values: Sequence[float]) -> str:
    """One character per value, its height from zero to the largest."""
    top = max(values)
    steps = len(_HEIGHTS) - 1
    return "".join(_HEIGHTS[round(value / top * steps)] for value in values)
