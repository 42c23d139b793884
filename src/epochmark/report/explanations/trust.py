"""Whether to believe the run: what is known to be wrong comes before any explanation."""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.records.findings import MEANING, FindingCode
from epochmark.report.explanations._rule import Evidence, Rule, Sentence


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
            "Where its time went is left unsaid: the time of an invalid run explains nothing about "
            "this machine.",
            {"validity": validity},
        )
    elif evidence.steady is None:
        yield Sentence(
            "Where its time went is left unsaid: it ended before a steady speed was known.",
            {"laps": len(evidence.record.timing.laps)},
        )
    elif validity is not None:
        yield Sentence(
            "Its times are those of a disturbed run, and this machine may be faster. What held its "
            "steps back besides is left unsaid.",
            {"validity": validity},
        )


RULES = (
    Rule(
        name="findings",
        question="trust",
        needs="anything",
        says_when="the run has findings",
        reason="what limits the trust in a run is known and has a remedy; it comes first",
        apply=findings,
    ),
    Rule(
        name="time-unexplained",
        question="trust",
        needs="anything",
        says_when="the run is disturbed or invalid, or has no steady epoch",
        reason=(
            "of an invalid run no rule about time speaks; of a disturbed one those that rest on "
            "its own clocks, and on what was measured apart from it"
        ),
        apply=time_doubtful,
    ),
)
