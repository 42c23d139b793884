"""Tables on a terminal or in a file."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from epochmark.cli._console import console, printable, remark, say, write
from epochmark.report.figures import is_figure

GAP = 2
"""Columns of the terminal between two columns of a table."""

RULE = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
"""What rich draws below headings."""

if TYPE_CHECKING:
    from epochmark.judge.results import UnreadableFile
    from epochmark.report.tables.sections import Section


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows of text under headings; where they cannot stand side by side without breaking a figure
    or a word, each row as a block of lines."""
    from rich import box
    from rich.table import Table

    cells = [[printable(cell) for cell in row] for row in rows]
    drawn = io.StringIO()
    out = console(file=drawn)
    gaps = (len(header) - 1) * GAP + 1
    widths = _column_widths(header, cells, out.width - gaps)
    if widths is None:
        _print_blocks(header, cells)
        return
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, GAP - 1, 0, 0))
    for column, width in zip(header, widths, strict=True):
        table.add_column(column, width=width, justify="right" if is_figure(column) else "left")
    for row in cells:
        table.add_row(*row)
    out.print(table)
    write(_encodable(drawn.getvalue()))


def _encodable(drawn: str) -> str:
    """The table with the rule below its headings in characters that the output has."""
    try:
        RULE.encode(sys.stdout.encoding or "ascii")
    except (UnicodeError, LookupError):
        return drawn.replace(RULE, "-")
    return drawn


def _column_widths(
    header: Sequence[str], rows: Sequence[Sequence[str]], available: int
) -> list[int] | None:
    """Characters for each column: the widest columns are narrowed, as far as words allow.

    Figures keep their width. None where that does not fit.
    """
    from rich.cells import cell_len

    columns = list(zip(header, *rows, strict=True))
    widths = [max(map(cell_len, column)) for column in columns]
    least = [
        width
        if is_figure(column[0])
        else max(cell_len(word) for cell in column for word in cell.split() or [""])
        for column, width in zip(columns, widths, strict=True)
    ]
    for _ in range(max(0, sum(widths) - available)):
        narrowable = [n for n in range(len(widths)) if widths[n] > least[n]]
        if not narrowable:
            return None
        widths[max(narrowable, key=widths.__getitem__)] -= 1
    return widths


def _print_blocks(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    width = max(len(column) for column in header)
    for number, row in enumerate(rows):
        if number:
            say("")
        for column, cell in zip(header, row, strict=True):
            if cell not in ("", "-"):
                say(f"{column:<{width}}  {cell}")


def print_sections(sections: Iterable[Section]) -> None:
    """Each section with its title, its table and its notes."""
    for number, section in enumerate(sections):
        if number:
            say("")
        say(section.title, "")
        print_rows(section.header, section.rows)
        if section.notes:
            say("", *section.notes)


def warn_unreadable(files: Iterable[UnreadableFile]) -> None:
    """Tell on stderr which result files were skipped, and why."""
    for one in files:
        remark(f"epochmark: skipped {one.file}: {one.reason}")
