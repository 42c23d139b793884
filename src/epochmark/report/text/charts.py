"""Small charts in text: this machine among comparable ones, and the speed of the laps."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.analysis.comparing.comparability import key_of
from epochmark.records.record import Record
from epochmark.report.charts.speed import lap_speeds
from epochmark.report.figures import bare_seconds, device_id, shortened
from epochmark.report.subject import Subject, figures_of

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = "▁▂▃▄▅▆▇█"
MOST_BARS = 10
NARROWEST = 60
"""Columns below which bars say nothing."""
SPARKS = 40


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
    return [f"steady epoch, {title}:", "", *bar_lines(rows[:MOST_BARS], width)]


Row = tuple[str, float]
"""A name and seconds."""


def _machines(subject: Subject) -> list[Row]:
    """Measured machines, fastest first, with this one among those shown. Published ones are not
    repeated: the table that follows a run has them."""
    if subject.focus is None:
        return []
    rows = [
        ("this machine" if figure.own else figure.machine, figure.steady_epoch.median)
        for figure in figures_of(subject, key_of(subject.focus))
    ]
    own = [place for place, (name, _) in enumerate(rows) if name == "this machine"]
    if not own:
        return []
    return rows if own[0] < MOST_BARS else [*rows[: MOST_BARS - 1], rows[own[0]]]


def _engines(subject: Subject) -> list[Row]:
    return [
        (_engine_name(record), record.headline.steady_epoch_s)
        for record in subject.newest_own()
        if record.headline.steady_epoch_s is not None
    ]


def _engine_name(record: Record) -> str:
    doubt = " (disturbed)" if record.headline.validity == "disturbed" else ""
    return f"{record.engine.name} on {device_id(record)}, {record.engine.tuning}{doubt}"


def bar_lines(rows: Sequence[Row], width: int | None) -> list[str]:
    """A line for each name and its seconds, with a bar where there is room for one."""
    figures = [f"{bare_seconds(seconds)} s" for _, seconds in rows]
    left = max(len(shortened(name)) for name, _ in rows)
    right = max(map(len, figures))
    room = 0 if width is None or width < NARROWEST else min(40, width - left - right - 6)
    longest = max(seconds for _, seconds in rows)
    lines = []
    for (name, seconds), figure in zip(rows, figures, strict=True):
        bar = f"  {_bar(seconds / longest, room):<{room}}" if room > 4 and longest else ""
        lines.append(f"  {shortened(name):<{left}}{bar}  {figure:>{right}}")
    return lines


def _bar(share: float, room: int) -> str:
    eighths = max(1, round(share * room * 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def lap_line(record: Record, width: int | None) -> str | None:
    """The speed of the laps from first to last, as a line; None for fewer than three laps."""
    if len(record.timing.laps) < 3:
        return None
    speeds = [point["images_per_s"] for point in lap_speeds(record, SPARKS)]
    span = f"{min(speeds):,.0f} to {max(speeds):,.0f} images/s"
    if width is None or width < NARROWEST:
        return span
    return f"{sparkline(speeds)}  {span}"


def sparkline(values: Sequence[float]) -> str:
    """One character per value, its height from zero to the largest."""
    top = max(values)
    steps = len(_HEIGHTS) - 1
    return "".join(_HEIGHTS[round(value / top * steps)] for value in values)
