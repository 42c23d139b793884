"""A titled table of text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A titled table of text with notes below it.

    ``lines`` are sentences inside the table, each above the row with this number: what stands below
    it is not ranked. ``optional`` are headings of columns that are left out, the first one first,
    where the table would be wider than the terminal.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    lines: tuple[tuple[int, str], ...] = ()
    optional: tuple[str, ...] = ()
