"""``epochmark table``: measured and published machines side by side."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from epochmark.cli._guard import described


class TableFormat(StrEnum):
    """How a table is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    CSV = "csv"
    JSON = "json"


@described(
    """Show this machine's runs and the published machines.

    Only runs with the same workload, variant, engine, tuning and precision are ranked, fastest
    first. Published figures of other engines stand beside them unranked; csv and json hold one row
    for each run and each published figure.
    """
)
def table(
    table_format: Annotated[
        TableFormat, typer.Option("--format", help="text, markdown, html, csv or json.")
    ] = TableFormat.TEXT,
    long: Annotated[
        bool, typer.Option("--long", help="One table with a row for each run, unranked.")
    ] = False,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN", help="Long layout in the order of a csv column; -COLUMN: reversed."
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
) -> None:
    from epochmark.analysis.comparing.references import load_references
    from epochmark.cli._console import print_json, remark, write
    from epochmark.cli._tables import print_sections, warn_unreadable
    from epochmark.judge.results import ResultFiles
    from epochmark.report.tables.html import to_html
    from epochmark.report.tables.long import long_rows, long_section, to_csv
    from epochmark.report.tables.markdown import to_markdown
    from epochmark.report.tables.sections import all_sections
    from epochmark.report.tables.selection import chosen, in_order

    stored, unreadable = ResultFiles.of_user().load()
    everything = [one.record for one in stored]
    records, references = chosen(everything, load_references(), filters or [])
    rows = long_rows(records, references)
    if sort is not None:
        rows = in_order(rows, sort)
    in_one = long or sort is not None
    sections = [long_section(rows)] if in_one else all_sections(records, references)
    sections = [section for section in sections if section.rows]
    match table_format:
        case TableFormat.TEXT:
            print_sections(sections)
        case TableFormat.MARKDOWN:
            write(to_markdown(sections))
        case TableFormat.HTML:
            write(to_html(sections))
        case TableFormat.CSV:
            write(to_csv(rows))
        case TableFormat.JSON:
            print_json(rows)
    if not rows:
        remark("epochmark: no run and no published figure meets these filters")
    warn_unreadable(unreadable)
