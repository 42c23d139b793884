"""Tables on a terminal or in a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from epochmark.cli._console import printable

if TYPE_CHECKING:
    from rich.console import Console

LEFT_ALIGNED = frozenset(("id", "date", "engine", "device", "variant", "validity", "label"))


def print_rows(out: Console, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows of text under headings; long cells are folded, not cut, on a narrow terminal."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        justify = "left" if column in LEFT_ALIGNED or column == columns[0] else "right"
        table.add_column(column, overflow="fold", justify=justify)
    for row in rows:
        table.add_row(*(printable(cell) for cell in row))
    out.print(table)
