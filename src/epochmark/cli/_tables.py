"""Tables on a terminal or in a file."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from epochmark.cli._console import columns, console, printable, remark, say, write
from epochmark.report.figures import NONE, is_figure

GAP = 2
"""Columns of the terminal between two columns of a table."""

RULE = "\N{BOX DRAWINGS LIGHT HORIZONTAL}"
"""What rich draws below headings."""

if TYPE_CHECKING:
    from epochmark.judge.results import UnreadableFile
    from epochmark.report.tables.section import Section

Cells = list[list[str]]
"""Rows of cells that are safe for a terminal."""


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows of text under headings, all columns of them."""
    from epochmark.report.tables.section import Section

    print_table(Section("", tuple(header), tuple(map(tuple, rows))))


def print_table(section: Section) -> None:
    """The rows of a section under their headings, one line a row where the output is no terminal.

    On a terminal that is too narrow, the columns that are optional are left out, then words of a
    cell go on below each other; where that breaks a figure or a word, each row becomes a block.
    """
    room = columns(sys.stdout)
    header, cells = list(section.header), [[printable(c) for c in row] for row in section.rows]
    if room is not None:
        header, cells = _without_optional(header, cells, section.optional, room)
    widths = _column_widths(header, cells, room)
    above = {number: printable(text) for number, text in section.lines}
    if widths is None:
        _print_blocks(header, cells, above)
    else:
        _print_lines(header, cells, above, widths)


def _print_lines(
    header: Sequence[str], cells: Cells, above: dict[int, str], widths: Sequence[int]
) -> None:
    """Each part of the table as rich draws it, with the sentences between them."""
    from rich import box
    from rich.table import Table

    drawn = io.StringIO()
    out = console(file=drawn)
    out.width = sum(widths) + GAP * len(widths)
    starts = [0, *sorted(above)]
    for part, (start, end) in enumerate(zip(starts, [*starts[1:], len(cells)], strict=True)):
        table = Table(
            box=box.SIMPLE_HEAD,
            show_edge=False,
            show_header=part == 0,
            padding=(0, GAP - 1, 0, 0),
        )
        for column, width in zip(header, widths, strict=True):
            table.add_column(column, width=width, justify="right" if is_figure(column) else "left")
        for row in cells[start:end]:
            table.add_row(*row)
        if part:
            drawn.write(f"  {above[start]}\n")
        out.print(table)
    write(_encodable(drawn.getvalue()))


def _encodable(drawn: str) -> str:
    """The table with the rule below its headings in characters that the output has."""
    try:
        RULE.encode(sys.stdout.encoding or "ascii")
    except (UnicodeError, LookupError):
        return drawn.replace(RULE, "-")
    return drawn


def _without_optional(
    header: list[str], cells: Cells, optional: Sequence[str], room: int
) -> tuple[list[str], Cells]:
    """The table without as many optional columns as it takes to fit."""
    kept = list(range(len(header)))
    for column in optional:
        if sum(_natural_widths(header, cells, kept)) + GAP * len(kept) <= room + 1:
            break
        kept = [place for place in kept if header[place] != column]
    return [header[place] for place in kept], [[row[place] for place in kept] for row in cells]


def _natural_widths(header: Sequence[str], cells: Cells, kept: Sequence[int]) -> list[int]:
    from rich.cells import cell_len

    return [max(cell_len(row[place]) for row in [header, *cells]) for place in kept]


def _column_widths(header: Sequence[str], cells: Cells, room: int | None) -> list[int] | None:
    """Characters for each column: the widest columns are narrowed, as far as words allow.

    Figures keep their width. None where that does not fit. Without a ``room`` all fits.
    """
    from rich.cells import cell_len

    widths = _natural_widths(header, cells, range(len(header)))
    if room is None:
        return widths
    least = [
        width
        if is_figure(header[place])
        else max(cell_len(word) for row in [header, *cells] for word in row[place].split() or [""])
        for place, width in enumerate(widths)
    ]
    available = room - (len(header) - 1) * GAP - 1
    for _ in range(max(0, sum(widths) - available)):
        narrowable = [n for n in range(len(widths)) if widths[n] > least[n]]
        if not narrowable:
            return None
        widths[max(narrowable, key=widths.__getitem__)] -= 1
    return widths


def _print_blocks(header: Sequence[str], cells: Cells, above: dict[int, str]) -> None:
    width = max(len(column) for column in header)
    for number, row in enumerate(cells):
        if number:
            say("")
        if number in above:
            say(above[number], "")
        for column, cell in zip(header, row, strict=True):
            if cell not in ("", NONE):
                say(f"{column:<{width}}  {cell}")


def print_sections(sections: Iterable[Section]) -> None:
    """Each section with its title, its table and its notes."""
    for number, section in enumerate(sections):
        if number:
            say("")
        say(section.title, "")
        print_table(section)
        if section.notes:
            say("", *section.notes)


def warn_unreadable(files: Iterable[UnreadableFile]) -> None:
    """Tell on stderr which result files were skipped, and why."""
    for unreadable in files:
        remark(f"epochmark: skipped {unreadable.file}: {unreadable.reason}")
