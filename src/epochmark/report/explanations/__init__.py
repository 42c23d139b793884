"""Why a run took as long as it did: sentences by rules; a file for each topic, found by its name.

No rule, no sentence; ``_rule`` says what a rule is, docs/measurement/explaining.md lists them all.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import get_args

from epochmark.report.explanations._evidence import gather
from epochmark.report.explanations._rule import Evidence, Needs, Question, Rule, Sentence

__all__ = [
    "Evidence",
    "Explanation",
    "Question",
    "Rule",
    "Sentence",
    "all_rules",
    "explain",
    "gather",
]


@dataclass(frozen=True)
class Explanation:
    """A sentence and the rule it comes from."""

    rule: Rule
    sentence: Sentence


def all_rules() -> list[Rule]:
    """Every rule there is, in the order in which they speak."""
    names = [
        module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
    ]
    rules: list[Rule] = [
        rule
        for name in sorted(names)
        for rule in importlib.import_module(f"{__name__}.{name}").RULES
    ]
    order = get_args(Question)
    return sorted(rules, key=lambda rule: order.index(rule.question))


def explain(evidence: Evidence) -> list[Explanation]:
    """What all rules have to say, in order."""
    return [
        Explanation(rule, sentence)
        for rule in all_rules()
        if _may_speak(rule.needs, evidence)
        for sentence in rule.apply(evidence)
    ]


def _may_speak(needs: Needs, evidence: Evidence) -> bool:
    if needs == "anything":
        return True
    if evidence.worthless == "invalid":
        return False
    if needs == "right work":
        return True
    return evidence.steady is not None and (needs == "figure" or evidence.worthless is None)
