"""What stands beside the answer: the place of this machine among others, and what holds it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from epochmark.analysis.comparing.comparability import ComparabilityKey, key_of
from epochmark.records.findings import MEANING, FindingCode
from epochmark.report.charts.machines import around_own, bars_of
from epochmark.report.charts.published import bars_beside
from epochmark.report.drawing.bars import Bar
from epochmark.report.drawing.published import KIND
from epochmark.report.drawing.theme import page
from epochmark.report.explanations import Explanation, explain, gather
from epochmark.report.page._contents import LONGEST, method_of
from epochmark.report.subject import Subject
from epochmark.report.text.explanation import TITLES, advice_of

MOST_ROWS = 8
MOST_SENTENCES = 3
_SETTING = ("machine", "engine", "settings", "measured")
_DRAWN = page(0)
"""Bars are asked for with a theme; here their colours come from the style sheet."""


@dataclass(frozen=True)
class Machine:
    """One row. ``share`` is the length of its bar, ``low`` and ``high`` are the ends of its
    interval, in percent of the longest."""

    name: str
    figure: str
    share: float
    low: float
    high: float
    kind: Literal["own", "published", "other"]
    doubt: bool


@dataclass(frozen=True)
class Place:
    """Where this machine stands: in a sentence, and among those next to it."""

    sentence: str
    machines: tuple[Machine, ...]


@dataclass(frozen=True)
class Paragraph:
    """A title with sentences below it."""

    title: str
    sentences: tuple[str, ...]


def place_of(subject: Subject) -> Place | None:
    """Among the machines of the focus's key, or of another key in which this machine has a run;
    else beside published ones. None where there is no other machine."""
    for key in _own_keys(subject):
        bars = bars_of(subject, key, _DRAWN)
        if len(bars) > 1 and any(bar.strong for bar in bars):
            return Place(_place_text(key, bars), _machines(around_own(bars, MOST_ROWS)))
    found = bars_beside(subject, _DRAWN)
    if found is None:
        return None
    key, bars = found
    variant = f" ({', '.join(key.variant)})" if key.variant else ""
    sentence = (
        f"Published machines trained with {key.engine_family}{variant}: another engine or other "
        "settings, so for orientation only."
    )
    return Place(sentence, _machines(around_own(bars, MOST_ROWS)))


def _own_keys(subject: Subject) -> list[ComparabilityKey]:
    """The focus's, then those of this machine's other runs, newest first."""
    records = [*subject.own, *([subject.focus] if subject.focus else [])]
    return list(dict.fromkeys(key_of(record) for record in reversed(records)))


def _place_text(key: ComparabilityKey, bars: Sequence[Bar]) -> str:
    """The place of this machine, from the best to the worst that its interval leaves open."""
    own = next(bar for bar in bars if bar.strong)
    others = [bar for bar in bars if not bar.doubt and not bar.strong]
    variant = "".join(f", {departure}" for departure in key.variant)
    machines = f"{len(others) + 1} machines with {key.engine_family} {key.tuning}{variant}"
    low, high = own.ends
    best = 1 + sum(bar.ends[1] < low for bar in others)
    worst = 1 + sum(bar.ends[0] <= high for bar in others)
    place = f"Place {best}" if best == worst else f"Place {best} to {worst}"
    doubt = "; not ranked, since the run was disturbed" if own.doubt else ""
    return f"{place} of {machines}{doubt}."


def _machines(bars: Sequence[Bar]) -> tuple[Machine, ...]:
    longest = max(bar.ends[1] for bar in bars)
    return tuple(
        Machine(
            name=bar.label,
            figure=bar.figure,
            share=100 * bar.value / longest,
            low=100 * bar.ends[0] / longest,
            high=100 * bar.ends[1] / longest,
            kind=_kind(bar),
            doubt=bar.doubt,
        )
        for bar in bars
    )


def _kind(bar: Bar) -> Literal["own", "published", "other"]:
    if bar.strong:
        return "own"
    return "published" if bar.kind == KIND else "other"


def explained(subject: Subject) -> list[Paragraph]:
    """What the rules of ``epochmark explain`` say about the run in focus, by question, and what to
    try. Doubts stand among the findings; what is not known yet is of no use to a reader."""
    if subject.focus is None:
        return []
    found = [
        explanation
        for explanation in explain(gather(subject.focus, subject.records, subject.limits))
        if explanation.rule.question in ("time", "limit", "setting")
    ]
    parts = [
        Paragraph(TITLES[question], tuple(explanation.sentence.sentence for explanation in group))
        for question, group in groupby(found, key=lambda explanation: explanation.rule.question)
    ]
    advice = advice_of(found)
    return [*parts, Paragraph("What to try", tuple(advice))] if advice else parts


def held_back(subject: Subject) -> Paragraph | None:
    """In a few sentences: what is wrong with the run in focus, else what holds it back, else where
    its time goes."""
    focus = subject.focus
    if focus is None:
        return None
    meanings = [MEANING[FindingCode(finding.code)] for finding in focus.findings]
    problems = [
        f"{meaning.title[0].upper()}{meaning.title[1:]}. What to do: {meaning.remedy}."
        for meaning in meanings
        if meaning.validity != "valid"
    ]
    if focus.headline.validity == "invalid":
        return Paragraph("What is wrong with it", tuple(problems[:MOST_SENTENCES]))
    found = explain(gather(focus, subject.records, subject.limits))
    limits = [
        explanation.sentence.sentence
        for explanation in found
        if explanation.rule.question == "limit"
    ]
    if problems or limits:
        return Paragraph("What held it back", (*problems, *limits)[:MOST_SENTENCES])
    sentences = [
        explanation.sentence.sentence
        for explanation in found
        if explanation.rule.question == "time"
    ]
    sentences += [
        _to_know(explanation) for explanation in found if explanation.rule.question == "unknown"
    ][:1]
    return Paragraph(TITLES["time"], tuple(sentences[:MOST_SENTENCES])) if sentences else None


def _to_know(explanation: Explanation) -> str:
    """What is not known yet, and which command would find out."""
    said = explanation.sentence
    return said.sentence if said.advice is None else f"{said.sentence} What to do: {said.advice}."


def setting_of(subject: Subject) -> list[tuple[str, str]]:
    """The machine and how it was used, in short; the method has it all."""
    return [
        (term, text)
        for term, text in method_of(subject)
        if term in _SETTING and len(text) <= LONGEST
    ]
