"""What the report says of training on several devices."""

from __future__ import annotations

from epochmark.records.dates import local_time
from epochmark.report.page._standing import Paragraph
from epochmark.report.subject import Subject
from epochmark.report.text.scaling import scaling_lines


def scaling_of(subject: Subject) -> list[Paragraph]:
    """The newest scaling in its own words; nothing without one."""
    return [
        Paragraph(
            f"{scaling.workload.name} with {scaling.engine.name}, {local_time(scaling.created)}",
            tuple(line.strip() for line in scaling_lines(scaling) if line),
        )
        for scaling in subject.scalings[-1:]
    ]
