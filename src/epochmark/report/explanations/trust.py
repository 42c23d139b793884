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


def time_unexplained(evidence: Evidence) -> Iterator[Sentence]:
    """That a worthless time is not explained."""
    validity = evidence.worthless
    if validity is not None:
        article = "an" if validity == "invalid" else "a"
        yield Sentence(
            f"Where its time went is left unsaid: the time of {article} {validity} run explains "
            "nothing about this machine.",
            {"validity": validity},
        )
    elif evidence.steady is None:
        yield Sentence(
            "Where its time went is left unsaid: it ended before a steady speed was known.",
            {"laps": len(evidence.record.timing.laps)},
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
        reason="rules about time keep silent then: a worthless number needs no explanation",
        apply=time_unexplained,
    ),
)
