"""The history of a machine in text: each run of a series, and what it changed."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.analysis.comparing.history import Change, Entry, Series
from epochmark.analysis.timing.headline import steady_of
from epochmark.records.dates import local_time
from epochmark.report.digits import range_text, ratio_text, value_text
from epochmark.report.figures import validity_text
from epochmark.report.text.charts import sparkline

MOST_DIFFERENCES = 4
SPARKS = 60


def history_lines(series: Sequence[Series]) -> list[str]:
    """All series, each with its name, its speed over time and a line for every run."""
    lines: list[str] = []
    for line in series:
        lines += ["", str(line.setup)] if lines else [str(line.setup)]
        lines += [f"  speed  {sparks}" for sparks in [_sparks(line)] if sparks]
        lines += [f"  {entry_line(entry)}" for entry in line.entries]
    return lines


def entry_line(entry: Entry) -> str:
    """When, how fast, and what changed since the valid run before."""
    record = entry.record
    steady = steady_of(record)
    assert steady is not None, "runs without one are in no series"
    interval = steady.interval
    figure = f"{value_text(interval)} s ({range_text(interval)})"
    start = f"{local_time(record.created)}  {figure}"
    if not entry.decides:
        return f"{start}  {validity_text(record)}: not compared"
    return start if entry.change is None else f"{start}  {change_text(entry.change)}"


def change_text(change: Change) -> str:
    """``torch 2.12.1 -> 2.13.0: 1.06 times as fast (1.03 to 1.09)``."""
    ratio = change.times_as_fast
    causes = "; ".join(
        f"{name} {earlier} -> {later}"
        for name, earlier, later in change.differences[:MOST_DIFFERENCES]
    )
    more = len(change.differences) - MOST_DIFFERENCES
    causes += f"; {more} more differences" if more > 0 else ""
    before = f"{causes}: " if causes else ""
    if change.verdict == "alike":
        return f"{before}no clear difference ({range_text(ratio, 2)} times as fast)"
    if not causes:
        share = abs(ratio.median - 1)
        return (
            f"nothing recorded changed, yet {share:.0%} {change.verdict} "
            f"({range_text(ratio, 2)} times as fast): look at heat, other guests of the host, "
            "power mode"
        )
    return f"{before}{ratio_text(ratio)} times as fast ({range_text(ratio, 2)})"


def _sparks(series: Series) -> str:
    """The speeds of the valid runs, newest last; empty below three of them."""
    speeds = [
        1 / entry.record.headline.steady_epoch_s
        for entry in series.entries
        if entry.decides and entry.record.headline.steady_epoch_s
    ]
    return sparkline(speeds[-SPARKS:]) if len(speeds) > 2 else ""
