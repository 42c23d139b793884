"""``epochmark table``: measured and published machines side by side."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._guard import described
from epochmark.cli._records import WorkloadOption

if TYPE_CHECKING:
    from epochmark.analysis.comparing.references import Reference
    from epochmark.records.record import Machine, Record
    from epochmark.report.subject import Subject
    from epochmark.report.tables.section import Section


class TableFormat(StrEnum):
    """How a table is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"
    JSON = "json"


@described(
    """Show this machine's newest runs beside the published machines.

    Of each engine the newest run, then the place among the published machines. Only runs with the
    same workload, variant, engine, tuning and precision are ranked, fastest first. --all shows
    every run and published figure; csv and json always hold one row for each.
    """
)
def table(
    table_format: Annotated[
        TableFormat,
        typer.Option(
            "--format", metavar="text|markdown|html|csv|json", help="How the table is printed."
        ),
    ] = TableFormat.TEXT,
    everything: Annotated[
        bool,
        typer.Option(
            "--all", help="Show every run, including other machines', and every published figure."
        ),
    ] = False,
    long: Annotated[
        bool, typer.Option("--long", help="One table with a row for each run, unranked.")
    ] = False,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Sort the long layout by a csv column; -COLUMN: reversed."
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME,...",
            help="The columns, by their names in csv; +NAME,... adds to the usual ones. Such as "
            "framework_version, threads, startup_s, first_step_s, peak_memory_bytes, label.",
        ),
    ] = None,
    filters: Annotated[
        list[str] | None,
        typer.Option(
            "--filter",
            metavar="FIELD=VALUE",
            help="Only these; FIELD is chip, engine, device, workload or validity; repeatable.",
        ),
    ] = None,
    workload: WorkloadOption = None,
) -> None:
    from epochmark.analysis.comparing.references import load_references
    from epochmark.cli._console import print_json, remark, say, write
    from epochmark.cli._tables import print_sections, warn_unreadable
    from epochmark.judge.results import ResultFiles
    from epochmark.report.tables.columns import asked_columns, data_columns, long_section
    from epochmark.report.tables.long import COLUMNS, long_rows, to_csv
    from epochmark.report.tables.markup.html import to_html
    from epochmark.report.tables.markup.markdown import to_markdown
    from epochmark.report.tables.sections import all_sections, newest_sections
    from epochmark.report.tables.selection import chosen, in_order

    stored, unreadable = ResultFiles.of_user().load()
    everyone = [run.record for run in stored]
    only = [] if workload is None else [f"workload={workload}"]
    records, references = chosen(everyone, load_references(), [*(filters or []), *only])
    rows = long_rows(records, references)
    if sort is not None:
        rows = in_order(rows, sort)
    sections: list[Section] = []
    notes: Sequence[str] = ()
    named: Sequence[str] = COLUMNS
    if table_format in (TableFormat.CSV, TableFormat.JSON):
        if columns is not None:
            named = data_columns(asked_columns(columns, COLUMNS))
    elif long or sort is not None or (columns is not None and (everything or filters)):
        sections = [long_section(rows, columns)]
    elif everything or filters:
        sections = all_sections(records, references)
    else:
        subject, here = _subject(records, references)
        sections = newest_sections(subject, here, columns)
        notes = () if columns is not None else _more(subject, here, sections)
    sections = [section for section in sections if section.rows]
    match table_format:
        case TableFormat.TEXT:
            print_sections(sections)
            say(*notes)
        case TableFormat.MARKDOWN:
            write(to_markdown(sections))
        case TableFormat.HTML:
            write(to_html(sections))
        case TableFormat.CSV:
            write(to_csv(rows, named))
        case TableFormat.JSON:
            print_json([{name: row[name] for name in named} for row in rows])
    if not rows:
        remark("epochmark: no run and no published figure meets these filters")
    warn_unreadable(unreadable)


def _subject(
    records: Sequence[Record], references: Sequence[Reference]
) -> tuple[Subject, Machine | None]:
    """What the newest runs are chosen from: this machine's, or where it has none, those of the
    machine of the newest; and this machine."""
    from epochmark.hardware.machine import describe_machine, machine_id
    from epochmark.judge.results import ResultFiles
    from epochmark.report.subject import subject_of

    folder = ResultFiles.of_user().folder
    here = describe_machine(machine_id(folder)) if folder.is_dir() else None
    return subject_of(records, references, here), here


def _more(subject: Subject, here: Machine | None, sections: Sequence[Section]) -> list[str]:
    """What else there is, and how this machine would stand among the published ones."""
    from epochmark.cli._answers import place_lines
    from epochmark.report.tables.sections import is_about

    shown = len(sections[0].rows) if subject.records else 0
    more = max(0, len(subject.records) - shown)
    runs = f"{more:,} more run{'s' if more != 1 else ''} and all" if more else "All"
    asks = len(sections) == 1 and (not subject.records or is_about(subject, here))
    return [
        "",
        *(place_lines(subject.own, None) if asks else []),
        f"{runs} published figures: 'epochmark table --all'",
    ]
