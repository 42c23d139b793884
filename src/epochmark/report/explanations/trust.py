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
