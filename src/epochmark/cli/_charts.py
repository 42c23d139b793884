"""What stands beside a run in the terminal: published machines, and small charts in text."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from epochmark.judge.results import ResultFiles
    from epochmark.records.record import Record


def print_beside(record: Record, files: ResultFiles | None) -> None:
    """The published machines, where the whole workload was trained, and the run beside comparable
    ones; plain where the output is no terminal, or cannot show blocks."""
    from epochmark.analysis.comparing.comparability import key_of
    from epochmark.analysis.comparing.references import load_references
    from epochmark.cli._console import say
    from epochmark.cli._tables import print_sections
    from epochmark.report.subject import Subject
    from epochmark.report.tables.sections import beside_references
    from epochmark.report.text.charts import comparison_lines

    references = load_references()
    published = {reference.comparability.workload for reference in references}
    whole = record.outcome == "completed" and not record.workload.variant
    if whole and key_of(record).workload in published:
        print_sections(beside_references(record, references))
        say("")
    if files is None:
        return
    records = tuple(run.record for run in files.load()[0])
    lines = comparison_lines(Subject(records, (), record), bar_width())
    if lines:
        say(*lines, "")


def bar_width() -> int | None:
    """Columns of the terminal; None where bars cannot be shown."""
    from epochmark.cli._console import columns

    try:
        "█▁".encode(sys.stdout.encoding or "ascii")
    except ValueError:
        return None
    return columns(sys.stdout)
