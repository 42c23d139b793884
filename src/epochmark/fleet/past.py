"""A fleet beside its own past: each node, and the group as a whole."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from epochmark.analysis.comparing.comparison import SMALLEST_RATIO
from epochmark.analysis.timing.intervals import MIN_INTERVAL_VALUES, Interval, median_interval
from epochmark.fleet.groups import Work
from epochmark.fleet.nodes import Node
from epochmark.fleet.verdicts import Findings

Change = Literal["slower", "faster", "alike", "unknown"]


@dataclass(frozen=True)
class Past:
    """``times_as_long`` by node: its figure now over that of its past. ``group`` is the median of
    these with a 95 % interval, None where fewer than six nodes have a past."""

    times_as_long: Mapping[str, float]
    group: Interval | None

    @property
    def change(self) -> Change:
        """Of the group as a whole; what is less than a percent is none, as in ``compare``."""
        if self.group is None:
            return "unknown"
        if self.group.low >= SMALLEST_RATIO:
            return "slower"
        return "faster" if self.group.high <= 1 / SMALLEST_RATIO else "alike"


Baseline = Mapping[str, Mapping[Work, Sequence[float]]]
"""Seconds per epoch by a node's machine id, or its name, and by what was done."""


def baseline_of(nodes: Sequence[Node]) -> Baseline:
    """What the nodes of an earlier report did: their valid runs, whatever their versions were."""
    found: dict[str, dict[Work, list[float]]] = defaultdict(lambda: defaultdict(list))
    for node in nodes:
        for run in node.runs:
            if run.problem is None:
                for called in node.ids or {node.name}:
                    found[called][run.side.key, run.side.device].append(run.epoch_s)
    return found


def past_of(findings: Findings, baseline: Baseline) -> Past:
    """The group's nodes beside the baseline's: by machine id, without one by name."""
    group = findings.group
    work = (group.key, group.device)
    times: dict[str, float] = {}
    for judged in findings.judged:
        node = judged.member.node
        before = [
            seconds
            for called in node.ids or {node.name}
            for seconds in baseline.get(called, {}).get(work, ())
        ]
        if before and judged.epoch_s is not None:
            times[judged.name] = judged.epoch_s / statistics.median(before)
    enough = len(times) >= MIN_INTERVAL_VALUES
    return Past(times, median_interval([*times.values()]) if enough else None)
