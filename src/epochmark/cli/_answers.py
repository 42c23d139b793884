"""What ``epochmark run`` says on standard output: about one run, and about all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epochmark.cli._console import say

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from epochmark.bench.session import Measured
    from epochmark.judge.results import ResultFiles
    from epochmark.records.record import Record

NATIVE_HINT = (
    "The native engine is epochmark's own. A figure comparable with the published ones:",
    "  epochmark engines install keras-tensorflow    (once)",
    "  epochmark run keras-tensorflow",
)


def print_answer(
    measured: Measured, saved: Path | None, files: ResultFiles | None, short: bool
) -> None:
    """The answer to one run; ``short``: a line, since a table of all follows."""
    from epochmark.analysis.comparing.references import load_references
    from epochmark.cli._charts import print_charts
    from epochmark.cli._tables import print_sections
    from epochmark.report.tables.sections import beside_references
    from epochmark.report.text.answer import answer_lines, short_answer

    record = measured.record
    if short:
        say(short_answer(record))
        return
    say(*answer_lines(record))
    print_charts(record, files)
    if record.outcome == "completed":
        say("")
        print_sections(beside_references(record, load_references()))
    if record.engine.name == "native":
        say("", *NATIVE_HINT)
    if saved is not None:
        say("", f"record {record.id[:8]} saved: {saved}")


def print_table(records: Sequence[Record]) -> None:
    """A row for each run, the spread of repeated ones, and what tuned gains over stock."""
    from epochmark.cli._tables import print_rows
    from epochmark.report.tables.runs import RUN_COLUMNS, run_notes, run_rows
    from epochmark.report.tables.tuned_settings import gain_lines
    from epochmark.report.text.spread import spread_lines

    if records:
        say("")
        print_rows(RUN_COLUMNS, run_rows(records))
        say("", *run_notes(records), *spread_lines(records), *gain_lines(records))
