"""Sections as GitHub-flavoured Markdown, fit for an issue or a blog post."""

from __future__ import annotations

import re
from collections.abc import Sequence

from epochmark.report.figures import is_figure
from epochmark.report.plain_text import plain
from epochmark.report.tables.section import Section

NO_WIDTH = "\u200b"
"""Keeps a site from taking ``@name`` for a person to notify, and ``#12`` for an issue."""


def to_markdown(sections: Sequence[Section]) -> str:
    """All sections, each a heading, a table and its notes; text is escaped, never markup."""
    return "\n\n".join(_section(section) for section in sections) + "\n"


def _section(section: Section) -> str:
    rules = ["--:" if is_figure(column) else ":--" for column in section.header]
    lines = [f"### {escape(section.title)}", "", _row(section.header), _row(rules, raw=True)]
    above = dict(section.lines)
    for number, row in enumerate(section.rows):
        if number in above:
            lines.append(_line(above[number], section.header))
        lines.append(_row(row))
    if section.notes:
        lines += ["", *(f"- {escape(note)}" for note in section.notes)]
    return "\n".join(lines)


def _line(text: str, header: Sequence[str]) -> str:
    """A row that says something about those below it, in its first column of words."""
    place = next((n for n, column in enumerate(header) if not is_figure(column)), 0)
    cells = ["" for _ in header]
    cells[place] = f"*{escape(text)}*"
    return _row(cells, raw=True)


def _row(cells: Sequence[str], raw: bool = False) -> str:
    return "| " + " | ".join(cell if raw else escape(cell) for cell in cells) + " |"


def escape(text: str) -> str:
    """Text that Markdown and the HTML inside it show as it is, on one line."""
    flat = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    escaped = "".join(f"\\{c}" if c in "\\`*_[]|#~$" else c for c in flat)
    return re.sub(r"(@|\\#)(?=\w)", rf"\1{NO_WIDTH}", escaped)
