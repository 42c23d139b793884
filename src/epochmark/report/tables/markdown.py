"""Sections as GitHub-flavoured Markdown, fit for an issue or a blog post."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.report.figures import is_figure
from epochmark.report.plain_text import plain
from epochmark.report.tables.sections import Section


def to_markdown(sections: Sequence[Section]) -> str:
    """All sections, each a heading, a table and its notes; text is escaped, never markup."""
    return "\n\n".join(_section(section) for section in sections) + "\n"


def _section(section: Section) -> str:
    rules = ["--:" if is_figure(column) else ":--" for column in section.header]
    lines = [f"### {escape(section.title)}", "", _row(section.header), _row(rules, raw=True)]
    lines += [_row(row) for row in section.rows]
    if section.notes:
        lines += ["", *(f"- {escape(note)}" for note in section.notes)]
    return "\n".join(lines)


def _row(cells: Sequence[str], raw: bool = False) -> str:
    return "| " + " | ".join(cell if raw else escape(cell) for cell in cells) + " |"


def escape(text: str) -> str:
    """Text that Markdown and the HTML inside it show as it is, on one line."""
    flat = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "".join(f"\\{c}" if c in "\\`*_[]|#~" else c for c in flat)
