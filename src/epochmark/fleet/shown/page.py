"""The page of a fleet: the answer, a strip for each group, every node in a table, what is odd."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from epochmark.fleet.report import FleetReport, GroupReport
from epochmark.fleet.shown.strip import strip_of
from epochmark.fleet.shown.text import (
    APART_HEADER,
    advice_text,
    answer_text,
    departure_row,
    group_lines,
    group_title,
    node_header,
    node_row,
    note_lines,
    shown_groups,
)
from epochmark.fleet.verdicts import JudgedNode
from epochmark.report.page.frame import drawn, rendered
from epochmark.report.render import can_draw

MOST_APART = 500
MOST_NOTES = 200
"""Of a page; ``--json`` has all."""


@dataclass(frozen=True)
class Answer:
    """The first thing to be read: a sentence, a few facts, what to do."""

    sentence: str
    validity: str
    facts: tuple[tuple[str, int], ...]
    advice: str | None


@dataclass(frozen=True)
class Cell:
    """A cell of the table; ``number`` is what it is sorted by, None for text."""

    text: str
    number: float | None = None


def fleet_page(report: FleetReport) -> str:
    """The report as an HTML document that loads nothing from anywhere."""
    notes = note_lines(report)
    return rendered(
        "fleet.html",
        {
            "answer": _answer(report),
            "groups": [
                _group(report.groups.index(group) + 1, group) for group in shown_groups(report)
            ],
            "undrawn": not can_draw(),
            "header": (*node_header(report.groups[0]), "group"),
            "table": [
                _row(number, group, node)
                for number, group in enumerate(report.groups, 1)
                for node in group.findings.judged
            ],
            "apart_header": APART_HEADER,
            "apart": [departure_row(node) for node in report.departures[:MOST_APART]],
            "notes": notes[:MOST_NOTES],
            "more_notes": max(0, len(notes) - MOST_NOTES),
        },
        package=__package__,
    )


def _answer(report: FleetReport) -> Answer:
    slow = report.nodes("slow")
    facts = (
        ("nodes", len(report.fleet.nodes)),
        ("slow", len(slow)),
        ("suspected", len(report.nodes("suspected"))),
        ("fast", len(report.nodes("fast"))),
        ("not judged", len(report.nodes("not judged"))),
    )
    return Answer(answer_text(report), "disturbed" if slow else "valid", facts, advice_text(report))


def _group(number: int, report: GroupReport) -> dict[str, Any]:
    """The strip of a group and what is said about it as a whole."""
    drawings = drawn(partial(strip_of, report)) if can_draw() else ()
    return {
        "number": number,
        "title": group_title(report),
        "lines": group_lines(report),
        **{place: svg for place, _, svg in drawings},
    }


def _row(number: int, report: GroupReport, node: JudgedNode) -> list[Cell]:
    past = None if report.past is None else report.past.times_as_long.get(node.name)
    numbers = {"s/epoch": node.epoch_s, "vs median": node.times_as_long, "vs past": past}
    cells = zip(node_header(report), node_row(report, node), strict=True)
    return [*(Cell(text, numbers.get(name)) for name, text in cells), Cell(str(number), number)]
