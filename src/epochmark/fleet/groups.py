"""Groups of alike nodes: those whose runs did the same work with the same hardware, versions and
power settings; and who is alike to none, and in what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from epochmark.analysis.comparing.comparability import ComparabilityKey
from epochmark.analysis.machine.gpus import GPU_DRIVER, GPU_POWER_LIMIT
from epochmark.fleet.nodes import Node
from epochmark.fleet.runs import Run

FEWEST_ALIKE = 5
"""Nodes of which a robust spread can be taken: with four, two slow ones are half of all."""

Work = tuple[ComparabilityKey, str]
"""What was done, and on which device."""
_Way = tuple[Work, frozenset[tuple[str, str]]]


@dataclass(frozen=True)
class Member:
    """A node in a group: of its runs those that belong there, oldest first."""

    node: Node
    runs: tuple[Run, ...]

    @property
    def name(self) -> str:
        """The node's."""
        return self.node.name

    @property
    def counting(self) -> list[Run]:
        """The runs that are judged."""
        return [run for run in self.runs if run.problem is None]


@dataclass(frozen=True)
class Group:
    """Alike nodes, by name; ``parts`` are what they have in common."""

    key: ComparabilityKey
    device: str
    parts: Mapping[str, str]
    members: tuple[Member, ...]

    @property
    def is_large(self) -> bool:
        """Whether there are enough nodes to find outliers."""
        return len(self.members) >= FEWEST_ALIKE


@dataclass(frozen=True)
class Departure:
    """A node that differs from the largest group with the same work in this part: what it has, and
    what the others have."""

    node: str
    part: str
    own: str
    others: str


def groups_of(nodes: Sequence[Node]) -> tuple[list[Group], list[Departure]]:
    """The groups, the largest of each work first, and how nodes of groups that are too small to be
    judged depart from that."""
    by_work: dict[Work, dict[frozenset[tuple[str, str]], list[Member]]] = {}
    for node in nodes:
        for work, parts, runs in _ways(node):
            members = by_work.setdefault(work, {}).setdefault(frozenset(parts.items()), [])
            members.append(Member(node, tuple(runs)))
    groups: list[Group] = []
    departures: list[Departure] = []
    for (key, device), alike in sorted(by_work.items()):
        found = [
            Group(key, device, dict(parts), tuple(members)) for parts, members in alike.items()
        ]
        found.sort(key=lambda group: (-len(group.members), group.members[0].name))
        groups += found
        for small in found[1:]:
            if not small.is_large:
                departures += _departures(small, found[0])
    return groups, departures


def _ways(node: Node) -> Iterator[tuple[Work, Mapping[str, str], list[Run]]]:
    """The runs of a node by what they did and with what. Those that failed may not say with what:
    they go with the newest others of their engine."""
    gpu = _known_of_gpu(node)
    found: dict[_Way, list[Run]] = defaultdict(list)
    for run in node.runs:
        if run.side.unfit is None:
            found[_way_of(run, gpu)].append(run)
    for run in node.runs:
        if run.side.unfit is not None:
            family = run.side.key.engine_family
            alike = [way for way in found if way[0][0].engine_family == family]
            found[alike[-1] if alike else _way_of(run, gpu)].append(run)
    order = {run.id: place for place, run in enumerate(node.runs)}
    for (work, parts), runs in found.items():
        yield work, dict(parts), sorted(runs, key=lambda run: order[run.id])


def _known_of_gpu(node: Node) -> dict[str, str]:
    """Driver and power limit as the newest runs that know them say."""
    return {
        name: value
        for run in node.runs
        for name, value in run.parts.items()
        if name in (GPU_DRIVER, GPU_POWER_LIMIT)
    }


def _way_of(run: Run, gpu: Mapping[str, str]) -> _Way:
    """What a run on a GPU does not know of it, since its driver was silent or its record is older,
    is no difference: ``gpu`` has it of the node's other runs."""
    known = gpu if run.side.device.startswith("gpu") else {}
    return (run.side.key, run.side.device), frozenset({**known, **run.parts}.items())


def _departures(small: Group, main: Group) -> Iterator[Departure]:
    """A line for each part that differs, also where only one of the two names it; of nodes without
    a run that says what it was made with there is none."""
    timed = [each for each in small.members if any(run.side.unfit is None for run in each.runs)]
    for part in sorted({*small.parts, *main.parts}):
        own, others = (group.parts.get(part, "unknown") for group in (small, main))
        if own != others:
            for member in timed:
                yield Departure(member.name, part, own, others)
