"""Why a run took as long as it did: sentences by rules; a file for each topic, found by its name.

No rule, no sentence; ``_rule`` says what a rule is, docs/measurement.md lists them all.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import msgspec

from epochmark.analysis.comparing.batch_sizes import batch_sweeps, sweep_around
from epochmark.analysis.timing.headline import steady_of
from epochmark.analysis.timing.start_up import clocks_of
from epochmark.records.machine.machine_limits import EngineLimits, Limits
from epochmark.records.record import Record
from epochmark.report.explanations._rule import Evidence, Needs, Question, Rule, Said

__all__ = ["Evidence", "Explanation", "Question", "Rule", "Said", "all_rules", "explain", "gather"]


@dataclass(frozen=True)
class Explanation:
    """A sentence and the rule that said it."""

    rule: Rule
    said: Said


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


def gather(
    record: Record, records: Sequence[Record] = (), limits: Limits | None = None
) -> Evidence:
    """The evidence about a run: itself, batch sweeps among ``records``, and the limits if they are
    those of its machine."""
    limits = limits if limits is not None and limits.fits(record.machine) else None
    sweep = sweep_around(record, records)
    beside = tuple(one for one in batch_sweeps(records) if sweep and one.way == sweep.way)
    return Evidence(
        record=record,
        clocks=clocks_of(record),
        steady=steady_of(record),
        limits=limits,
        engine_limits=_engine_limits(record, limits),
        sweep=sweep,
        beside=beside,
    )


def _engine_limits(record: Record, limits: Limits | None) -> EngineLimits | None:
    """What this engine reached on the device of the run, where its rates repeated as peaks must;
    None where its versions were others."""
    device = record.device.resolved or record.device.requested
    found = limits.of_engine(record.engine.name, device) if limits else None
    if found is None or found.versions != record.engine.versions:
        return None
    product, convolution = found.product, found.convolution
    return msgspec.structs.replace(
        found,
        product=product if product and product.timed.per_s.repeats else None,
        convolution=convolution if convolution and convolution.per_s.repeats else None,
    )


def explain(evidence: Evidence) -> list[Explanation]:
    """What all rules have to say, in order."""
    return [
        Explanation(rule, said)
        for rule in all_rules()
        if _may_speak(rule.needs, evidence)
        for said in rule.apply(evidence)
    ]


def _may_speak(needs: Needs, evidence: Evidence) -> bool:
    if needs == "anything":
        return True
    if needs == "right work":
        return evidence.record.headline.validity != "invalid"
    return evidence.worthless is None and evidence.steady is not None
