"""The report of a fleet: every group judged, with causes and past, and what is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from epochmark.analysis.comparing.comparison import Comparison, compare
from epochmark.fleet.causes import Cause, besides_of, causes_of
from epochmark.fleet.clusters import Clusters, clusters_of
from epochmark.fleet.files import FleetFiles
from epochmark.fleet.groups import FEWEST_ALIKE, Departure, Group, Member, groups_of
from epochmark.fleet.nodes import Fleet, Node, nodes_of
from epochmark.fleet.past import Baseline, Past, baseline_of, past_of
from epochmark.fleet.runs import Reading, Run, limits_readings
from epochmark.fleet.verdicts import Findings, JudgedNode, Verdict, judge_group
from epochmark.records.machine.machine_limits import Limits


@dataclass(frozen=True)
class GroupReport:
    """A group: its verdicts, why its slow and suspected nodes are so, by name, whether it has two
    speeds, and what it was before; of a small one the ``pairs`` of its nodes."""

    findings: Findings
    causes: Mapping[str, Sequence[Cause]]
    clusters: Clusters | None
    past: Past | None
    pairs: tuple[Comparison, ...]

    @property
    def group(self) -> Group:
        """The nodes, and what they have in common."""
        return self.findings.group


@dataclass(frozen=True)
class Uncounted:
    """Runs of a node that are not judged, and why."""

    node: str
    runs: int
    of: int
    problem: str


@dataclass(frozen=True)
class FleetReport:
    """All that is known of a fleet; ``troubles`` are files, or parts of them, that could not be
    read."""

    groups: tuple[GroupReport, ...]
    departures: tuple[Departure, ...]
    uncounted: tuple[Uncounted, ...]
    fleet: Fleet
    troubles: tuple[str, ...]

    def nodes(self, verdict: Verdict) -> list[str]:
        """Names of the nodes with this verdict in any group."""
        return sorted({node.name for group in self.groups for node in group.findings.of(verdict)})


def fleet_report(
    files: FleetFiles, names: Mapping[str, str], earlier: FleetFiles | None = None
) -> FleetReport:
    """Judge the nodes in these files; ``earlier`` is what they did before."""
    fleet = nodes_of(files.runs, names)
    groups, departures = groups_of(fleet.nodes)
    baseline = None if earlier is None else baseline_of(nodes_of(earlier.runs, names).nodes)
    troubles = [*files.troubles, *(earlier.troubles if earlier else [])]
    return FleetReport(
        groups=tuple(_group_report(group, files.limits, baseline) for group in groups),
        departures=tuple(departures),
        uncounted=tuple(runs for node in fleet.nodes for runs in _uncounted(node)),
        fleet=fleet,
        troubles=tuple(troubles),
    )


def _group_report(group: Group, limits: Sequence[Limits], baseline: Baseline | None) -> GroupReport:
    findings = judge_group(group)
    doubtful = findings.of("slow", "suspected")
    besides = besides_of(group.members, _measured(group, limits)) if doubtful else {}
    causes = {node.name: causes_of(besides[node.name]) for node in doubtful}
    return GroupReport(
        findings=findings,
        causes=causes,
        clusters=clusters_of(findings),
        past=None if baseline is None else past_of(findings, baseline),
        pairs=tuple(_pairs(findings.judged)),
    )


def _measured(group: Group, limits: Sequence[Limits]) -> dict[str, dict[Reading, float]]:
    """What files of ``epochmark limits`` say, by node."""
    of_id = {each.machine.machine_id: each for each in limits if each.machine.machine_id}
    engines = {run.engine for member in group.members for run in member.runs}
    return {
        member.name: dict(limits_readings(of_id[machine_id], engine, group.device))
        for member in group.members
        for machine_id in member.node.ids & of_id.keys()
        for engine in engines
    }


def _pairs(judged: Sequence[JudgedNode]) -> list[Comparison]:
    """Each two of a few nodes by the median of their valid runs, as ``compare`` has it; none where
    there are enough nodes to have outliers."""
    sides = [
        replace(run.side, name=node.name)
        for node in judged
        if (run := _middle(node.member)) is not None
    ]
    return [] if len(sides) >= FEWEST_ALIKE else [compare(*pair) for pair in combinations(sides, 2)]


def _middle(member: Member) -> Run | None:
    counting = sorted(member.counting, key=lambda run: run.epoch_s)
    return counting[(len(counting) - 1) // 2] if counting else None


def _uncounted(node: Node) -> list[Uncounted]:
    problems = Counter(run.problem for run in node.runs if run.problem is not None)
    return [
        Uncounted(node.name, count, len(node.runs), problem)
        for problem, count in sorted(problems.items())
    ]
