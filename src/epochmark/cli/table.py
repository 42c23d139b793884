"""``epochmark table``: measured and published machines side by side."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer


class TableFormat(StrEnum):
    """How a table is printed."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


def table(
    table_format: Annotated[
        TableFormat, typer.Option("--format", help="text, markdown, csv or json.")
    ] = TableFormat.TEXT,
) -> None:
    """Show this machine's runs and the published machines.

    Only runs with the same workload, variant, engine, tuning and precision are ranked, fastest
    first. Published figures come from other engines and stand beside them unranked; csv and json
    hold one row for each run and each published figure.
    """
    from epochmark.cli._console import print_json, write
    from epochmark.cli._tables import print_sections, warn_unreadable
    from epochmark.report.long_table import long_rows, to_csv
    from epochmark.report.markdown import to_markdown
    from epochmark.report.sections import all_sections
    from epochmark.results.references import load_references
    from epochmark.results.store import ResultFiles

    stored, unreadable = ResultFiles.of_user().load()
    records = [one.record for one in stored]
    references = load_references()
    match table_format:
        case TableFormat.TEXT:
            print_sections(all_sections(records, references))
        case TableFormat.MARKDOWN:
            write(to_markdown(all_sections(records, references)))
        case TableFormat.CSV:
            write(to_csv(long_rows(records, references)))
        case TableFormat.JSON:
            print_json(long_rows(records, references))
    warn_unreadable(unreadable)
