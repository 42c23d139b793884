"""Whether to believe the run: what is known to be wrong comes before any explanation."""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.analysis.machine.calm import Calmness, calmness
from epochmark.analysis.timing.beside import has_room
from epochmark.records.findings import MEANING, FindingCode
from epochmark.report.explanations._rule import Evidence, Rule, Sentence

SPINNING = ("torch",)
"""Engines of which it was measured."""
WHOLE_CPU = 0.9
"""What is seen of a busy loop is a little less than all of its CPU."""


def findings(evidence: Evidence) -> Iterator[Sentence]:
    """Every finding, with its remedy."""
    record = evidence.record
    for finding in record.findings:
        meaning = MEANING[FindingCode(finding.code)]
        yield Sentence(
            f"{meaning.title[0].upper()}{meaning.title[1:]} ({finding.code}: {finding.detail}): "
            f"that makes a run {meaning.validity}.",
            {"finding": finding.code, "validity": meaning.validity},
            f"{finding.code}: {meaning.remedy}",
        )


def time_doubtful(evidence: Evidence) -> Iterator[Sentence]:
    """What is left unsaid of a time that was disturbed, is wrong, or is not known."""
    validity = evidence.worthless
    if validity == "invalid":
        yield Sentence(
            "Where its time went is not explained: an invalid run says nothing about this machine.",
            {"validity": validity},
        )
    elif evidence.steady is None:
        yield Sentence(
            "Where its time went is not explained: it ended before a steady speed was known.",
            {"laps": len(evidence.record.timing.laps)},
        )
    elif validity is not None:
        yield Sentence(
            "The run was disturbed, so this machine may be faster. What else slowed its steps is "
            "not explained.",
            {"validity": validity},
        )


def spinning(evidence: Evidence) -> Iterator[Sentence]:
    """That threads which spin lose more to other programs than these use."""
    record = evidence.record
    if record.engine.name not in SPINNING or not evidence.on_cpu or record.calm is None:
        return
    calm = calmness(record.calm)
    foreign = calm.foreign_cpus or 0.0
    if foreign < WHOLE_CPU or _had_room(calm, foreign):
        return
    yield Sentence(
        f"Other programs used {foreign:.1f} CPUs during the run, which costs {record.engine.title} "
        "more than other engines, probably since its threads spin while they wait for each other: "
        "beside a busy CPU of two its steps took four times as long, those of native twice.",
        {"foreign_cpus": foreign},
        "end the other programs; where they have to go on, try fewer threads than CPUs (--threads)",
    )


def _had_room(calm: Calmness, foreign_cpus: float) -> bool:
    """Whether enough CPUs idled: then no thread had to share one."""
    if calm.idle_cpus is None or calm.own_cpus is None:
        return False
    return has_room(calm.idle_cpus, calm.own_cpus, foreign_cpus)


RULES = (
    Rule(
        name="findings",
        question="trust",
        needs="anything",
        says_when="the run has findings",
        reason="what limits trust in a run has a known remedy, so it comes first",
        apply=findings,
    ),
    Rule(
        name="spinning-threads",
        question="trust",
        needs="right work",
        says_when=(
            "other programs used 0.9 CPU or more during a run of torch on the processor, and fewer "
            "than half of the CPUs idled"
        ),
        reason=(
            "measured with two CPUs: up to half a CPU torch loses as much as native, beside a "
            "whole one +300 % (`benchmarks/foreign_load_effect.py`)"
        ),
        apply=spinning,
    ),
    Rule(
        name="time-unexplained",
        question="trust",
        needs="anything",
        says_when="the run is disturbed or invalid, or has no steady epoch",
        reason=(
            "no rule about time applies to an invalid run; to a disturbed one only those based on "
            "its own clocks and on other measurements"
        ),
        apply=time_doubtful,
    ),
)
