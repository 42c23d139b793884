"""What the report says about this machine over time."""

from __future__ import annotations

from epochmark.analysis.comparing.history import history
from epochmark.report.page._standing import Paragraph
from epochmark.report.subject import Subject
from epochmark.report.text.history import entry_line

MOST_RUNS = 6
"""Of a series, the newest; 'epochmark history' has them all."""


def changes_of(subject: Subject) -> list[Paragraph]:
    """Each series of this machine in which a run could be compared with the one before it: its
    newest runs, and what changed with each."""
    return [
        Paragraph(str(series.setup), tuple(map(entry_line, series.entries[-MOST_RUNS:])))
        for series in history(subject.own)
        if any(entry.change for entry in series.entries[-MOST_RUNS:])
    ]
