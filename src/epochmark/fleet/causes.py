"""Why a node is slow: sentences by rules, from what its records say beside those of the others.

No rule, no sentence. docs/fleet.md lists them; ``report.explanations`` does the same for one run.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from epochmark.analysis.comparing.comparison import Side
from epochmark.analysis.machine.gpus import PCIE_LINK
from epochmark.analysis.timing.beside import FOREIGN_CPUS
from epochmark.fleet.groups import Member
from epochmark.fleet.runs import Reading
from epochmark.report.figures import percent, rate

LOWER_SHARE = 0.05
"""A peak, a bandwidth or a clock lower than the others' median by so much: they repeat to a few
percent (``report.explanations``)."""
HOTTER_C = 10.0
"""Nodes of one rack differ by less between its bottom and its top."""
THROTTLED_SHARE = 0.05
"""Of the warm readings; and more than twice what the others have."""
LOAD_CPUS = FOREIGN_CPUS
ADVICE = {PCIE_LINK: "seat the card again, look at its slot and at the settings of the board"}
"""What to do about a difference, by what differs."""
COMMON_SHARE = 0.9
"""What this share of the others says is what they have in common."""


class Cause(NamedTuple):
    """A sentence, the rule it comes from, and the figures it rests on."""

    rule: str
    sentence: str
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Beside:
    """A node's readings beside the medians of its group, and what it says (kernel, system,
    variables of the environment) beside what nearly all others say."""

    own: Mapping[Reading, float]
    others: Mapping[Reading, float]
    said: Mapping[str, str] = field(default_factory=dict)
    common: Mapping[str, str] = field(default_factory=dict)

    def pair(self, reading: Reading) -> tuple[float, float] | None:
        """The node's and the others'; None where one of them is unknown."""
        if reading not in self.own or reading not in self.others:
            return None
        return self.own[reading], self.others[reading]


@dataclass(frozen=True)
class Rule:
    """A ``reading`` that is lower by 5 % says the ``sentence`` with both figures."""

    reading: Reading
    sentence: str
    figure: Callable[[float], str]

    def apply(self, beside: Beside) -> Iterator[Cause]:
        """The sentence, if the rule has something to say."""
        pair = beside.pair(self.reading)
        if pair is None or pair[0] > (1 - LOWER_SHARE) * pair[1]:
            return
        own, others = map(self.figure, pair)
        text = self.sentence.format(own=own, others=others)
        yield Cause(self.reading, text, {"own": pair[0], "others": pair[1]})


def _whole(value: float) -> str:
    return f"{value:,.0f}"


LOWER = (
    Rule("clock", "it ran at {own} MHz, the others at {others}", _whole),
    Rule("peak", "its arithmetic peak is {own} GFLOP/s, the others' {others}", rate),
    Rule(
        "bandwidth",
        "its memory reaches {own} GB/s, the others' {others}: look for a missing module or channel",
        rate,
    ),
    Rule(
        "product",
        "its matrix product reaches {own} GFLOP/s, the others' {others}",
        rate,
    ),
    Rule(
        "input",
        "data reach its device at {own} GB/s, the others' at {others}: look at the width of its "
        "PCIe link",
        rate,
    ),
)


def causes_of(beside: Beside) -> list[Cause]:
    """What all rules say about a node."""
    found = [*_throttled(beside), *_hotter(beside)]
    for rule in LOWER:
        found += rule.apply(beside)
    return [*found, *_loaded(beside), *_different(beside)]


def _throttled(beside: Beside) -> Iterator[Cause]:
    own, others = beside.own.get("throttled", 0.0), beside.others.get("throttled", 0.0)
    if own >= THROTTLED_SHARE and own > 2 * others:
        yield Cause(
            "throttled",
            f"heat throttled it in {percent(own)} of the readings, the others in {percent(others)}",
            {"own": own, "others": others},
        )


def _hotter(beside: Beside) -> Iterator[Cause]:
    pair = beside.pair("temperature")
    if pair is not None and pair[0] - pair[1] >= HOTTER_C:
        sentence = f"it was at {pair[0]:.0f} °C, the others at {pair[1]:.0f}: look at its cooling"
        yield Cause("temperature", sentence, {"own": pair[0], "others": pair[1]})


def _loaded(beside: Beside) -> Iterator[Cause]:
    own, others = beside.own.get("foreign", 0.0), beside.others.get("foreign", 0.0)
    if own - others >= LOAD_CPUS:
        yield Cause(
            "load",
            f"other programs used {own:.2f} CPUs during its runs, on the others {others:.2f}",
            {"own": own, "others": others},
        )


def _different(beside: Beside) -> Iterator[Cause]:
    for name, common in sorted(beside.common.items()):
        own = beside.said.get(name, common)
        if own != common:
            advice = f": {ADVICE[name]}" if name in ADVICE else ""
            yield Cause("different", f"its {name} is {own}, the others' {common}{advice}", {})


def besides_of(
    members: Sequence[Member], measured: Mapping[str, Mapping[Reading, float]]
) -> dict[str, Beside]:
    """Each node of a group, by name, beside the group; ``measured`` are readings of nodes that do
    not come from runs, which go before."""
    own = {member.name: {**_medians(member), **measured.get(member.name, {})} for member in members}
    values: dict[Reading, list[float]] = {}
    for readings in own.values():
        for reading, value in readings.items():
            values.setdefault(reading, []).append(value)
    others = {reading: statistics.median(found) for reading, found in values.items()}
    variables = {name for member in members for name in _side(member).variables or {}}
    said = {member.name: _said(_side(member), variables) for member in members}
    counts = Counter(pair for pairs in said.values() for pair in pairs.items())
    fewest = COMMON_SHARE * (len(members) - 1)
    common = {name: value for (name, value), count in counts.items() if count >= fewest}
    return {name: Beside(own[name], others, said[name], common) for name in own}


def _medians(member: Member) -> dict[Reading, float]:
    """The node's readings: medians over the runs that count, or over all where none does."""
    runs = member.counting or member.runs
    names = {name for run in runs for name in run.readings}
    return {
        name: statistics.median(run.readings[name] for run in runs if name in run.readings)
        for name in names
    }


def _side(member: Member) -> Side:
    return member.runs[-1].side


def _said(side: Side, variables: Collection[str]) -> dict[str, str]:
    """All that a record says besides its figures; a variable that it lacks was not set."""
    own = side.variables or {}
    return {**{name: own.get(name, "not set") for name in variables}, **side.context}
