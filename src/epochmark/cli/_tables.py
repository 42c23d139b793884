"""Tables on a terminal or in a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import typer

from epochmark.cli._console import printable

if TYPE_CHECKING:
    from rich.console import Console

    from epochmark.report.sections import Section
    from epochmark.results.store import UnreadableFile

_NUMERIC = (
    "s/epoch", "elapsed", "images/s", "accuracy", "ratio", "rank", "CPU", "GPU", "TPU"
)  # fmt: skip


def print_rows(out: Console, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows of text under headings; long cells are folded, not cut, on a narrow terminal."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in header:
        numeric = column.startswith(_NUMERIC)
        table.add_column(column, overflow="fold", justify="right" if numeric else "left")
    for row in rows:
        table.add_row(*(printable(cell) for cell in row))
    out.print(table)


def print_sections(out: Console, sections: Iterable[Section]) -> None:
    """Each section with its title, its table and its notes."""
    for section in sections:
        out.print(printable(section.title))
        out.print()
        print_rows(out, section.header, section.rows)
        if section.notes:
            out.print()
        for note in section.notes:
            out.print(printable(note))
        out.print()


def warn_unreadable(files: Iterable[UnreadableFile]) -> None:
    """Tell on stderr which result files were skipped, and why."""
    for one in files:
        typer.echo(f"epochmark: skipped {one.file}: {printable(one.reason)}", err=True)
