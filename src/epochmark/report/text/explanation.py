"""An explanation in lines of text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from epochmark.records.record import Record
from epochmark.report.explanations import Explanation, Question
from epochmark.report.text.answer import short_answer

TITLES: dict[Question, str] = {
    "trust": "Can it be believed?",
    "time": "Where the time goes",
    "limit": "What holds it back",
    "setting": "How it was set up",
    "unknown": "Not known yet",
}
NOTHING = "No rule applies to this run."


def explanation_lines(record: Record, explanations: Sequence[Explanation]) -> list[str]:
    """The run in a line, then sentences by question, then what to try."""
    lines = [f"{short_answer(record)} (record {record.id[:8]})"]
    for question, group in groupby(explanations, key=lambda explanation: explanation.rule.question):
        lines += [
            "",
            TITLES[question],
            *(f"  {explanation.sentence.sentence}" for explanation in group),
        ]
    advice = advice_of(explanations)
    if advice:
        lines += ["", "What to try", *(f"  - {sentence}" for sentence in advice)]
    return lines if explanations else [*lines, "", NOTHING]


def advice_of(explanations: Sequence[Explanation]) -> list[str]:
    """Every advice once, in order."""
    given = (explanation.sentence.advice for explanation in explanations)
    return list(dict.fromkeys(advice for advice in given if advice is not None))
