"""The small charts in text after a run."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from epochmark.judge.results import ResultFiles
    from epochmark.records.record import Record


def print_charts(record: Record, files: ResultFiles | None) -> None:
    """The speed of the run's laps, and the run beside comparable ones; plain where the output is no
    terminal, or cannot show blocks."""
    from epochmark.cli._console import say
    from epochmark.report.subject import Subject
    from epochmark.report.text.charts import comparison_lines, lap_line

    width = _bar_width()
    laps = lap_line(record, width)
    if laps is not None:
        say("", f"  laps           {laps}")
    if files is None:
        return
    records = tuple(one.record for one in files.load()[0])
    lines = comparison_lines(Subject(records, (), record), width)
    if lines:
        say("", *lines)


def _bar_width() -> int | None:
    """Columns of the terminal; None where bars cannot be shown."""
    from epochmark.cli._console import columns

    try:
        "█▁".encode(sys.stdout.encoding or "ascii")
    except ValueError:
        return None
    return columns(sys.stdout)
