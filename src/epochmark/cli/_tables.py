"""Tables on a terminal or in a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from epochmark.cli._console import console, printable, remark, say, write
from epochmark.report.figures import is_figure

if TYPE_CHECKING:
    from epochmark.report.sections import Section
    from epochmark.results.store import UnreadableFile


def print_rows(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows of text under headings; where they cannot stand side by side without breaking a figure
    or a word, each row as a block of lines."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0))
    for column in header:
        figure = is_figure(column)
        table.add_column(column, no_wrap=figure, justify="right" if figure else "left")
    cells = [[printable(cell) for cell in row] for row in rows]
    for row in cells:
        table.add_row(*row)
    out = console()
    unbounded = out.options.update(max_width=10_000)
    if out.measure(table, options=unbounded).minimum > out.width:
        _print_blocks(header, cells)
        return
    with out.capture() as captured:
        out.print(table)
    write(captured.get())


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
