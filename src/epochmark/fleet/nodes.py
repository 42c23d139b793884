"""Which runs are of one node: by machine id, else by file; what contradicts that is said.

Ids are no proof: machines that share a home folder have one id, a folder that was reset gives a
machine a second one, and exported records have none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from epochmark.fleet.runs import Run
from epochmark.records.machine.identity import processor_of

CLOCK_S = 2
"""Dates are whole seconds, and a clock may be set by as much."""
SHOWN_OF_ID = 8
"""Characters of a machine id that stand for a node without a name."""

Key = tuple[object, ...]


@dataclass(frozen=True)
class Node:
    """A machine of the fleet, its runs oldest first; ``ids`` are its machine ids, if any."""

    name: str
    ids: frozenset[str]
    runs: tuple[Run, ...]


@dataclass(frozen=True)
class Fleet:
    """All nodes by name, in sentences what is odd about their identity, and the names of nodes of
    which there is no run."""

    nodes: tuple[Node, ...]
    notes: tuple[str, ...]
    silent: tuple[str, ...]


def nodes_of(runs: Sequence[Run], names: Mapping[str, str]) -> Fleet:
    """The nodes in these runs; ``names`` are theirs by machine id, two ids with one name are one
    machine."""
    kept, notes = _known_once(runs)
    by_key: dict[Key, list[Run]] = defaultdict(list)
    for run in kept:
        by_key[_key_of(run, names)].append(run)
    notes += _two_processors(by_key)
    nodes = _named(_parted(by_key, notes), names)
    notes += _clocks(nodes)
    ids = {each for node in nodes for each in node.ids}
    present = {names[each] for each in ids if each in names}
    silent = sorted({*names.values()} - present)
    return Fleet(tuple(sorted(nodes, key=lambda node: node.name)), tuple(notes), tuple(silent))


def _parted(by_key: Mapping[Key, list[Run]], notes: list[str]) -> dict[Key, list[Run]]:
    """The same, with the runs under an id that several machines have by their files; that it has is
    added to the notes."""
    parted: dict[Key, list[Run]] = {}
    for key, own in by_key.items():
        shared = _overlapping(own)
        if shared is None:
            parted[key] = own
            continue
        notes.append(shared)
        for run in own:
            parted.setdefault((*key, run.file), []).append(run)
    return parted


def _known_once(runs: Sequence[Run]) -> tuple[list[Run], list[str]]:
    """Each run once, with its machine id if any file has it, and which ids are of one machine."""
    first: dict[str, Run] = {}
    twins: set[tuple[str, str]] = set()
    for run in runs:
        before = first.setdefault(run.id, run).machine.machine_id
        now = run.machine.machine_id
        if before is None and now is not None:
            first[run.id] = run
        elif before is not None and now is not None and before != now:
            twins.add((before, now))
    notes = [
        f"one machine under two ids ({' and '.join(pair)}): the same runs came under both; give "
        "both the same name with --names"
        for pair in sorted(twins)
    ]
    return list(first.values()), notes


def _key_of(run: Run, names: Mapping[str, str]) -> Key:
    machine_id = run.machine.machine_id
    if machine_id is None:
        return ("file", run.file)
    if machine_id in names:
        return ("name", names[machine_id], *processor_of(run.machine))
    return ("id", machine_id, *processor_of(run.machine))


def _two_processors(by_key: Mapping[Key, Sequence[Run]]) -> Iterator[str]:
    """Ids, or names, that stand for machines with different processors or memory."""
    hardware: dict[Key, set[Key]] = defaultdict(set)
    for key in by_key:
        if key[0] != "file":
            hardware[key[:2]].add(key[2:])
    for (kind, called), found in hardware.items():
        if len(found) > 1:
            what = "machine id" if kind == "id" else "name"
            yield (
                f"{len(found)} machines under one {what} ({called}): their processors or memory "
                "differ, so each is a node of its own"
            )


def _overlapping(runs: Sequence[Run]) -> str | None:
    """That runs under one id, from different files, were made at the same time: a machine makes one
    run after the other, so these are several machines. None where there is no sign of that."""
    ordered = sorted((run for run in runs if run.dated), key=lambda run: run.span)
    for before, after in pairwise(ordered):
        overlap = before.span[1] - after.span[0]
        if before.file != after.file and overlap > timedelta(seconds=CLOCK_S):
            names = " and ".join(sorted(Path(run.file).name for run in (before, after)))
            return (
                f"several machines under one machine id ({before.machine.machine_id}): {names} "
                "were measured at the same time, so each file is taken for a node; set "
                "EPOCHMARK_RESULTS to a folder of each node's own"
            )
    return None


def _named(parted: Mapping[Key, Sequence[Run]], names: Mapping[str, str]) -> list[Node]:
    """Nodes by given names, else by the names of their files, else by their ids."""
    nodes_in = Counter(file for own in parted.values() for file in {run.file for run in own})
    stems = Counter(Path(file).stem for file in nodes_in)
    nodes, taken = [], Counter[str]()
    for key, own in parted.items():
        files = sorted({run.file for run in own})
        ids = sorted({run.machine.machine_id for run in own if run.machine.machine_id})
        if key[0] == "name":
            name = str(key[1])
        elif not ids or (len(files) == 1 and nodes_in[files[0]] == 1):
            path = Path(files[0])
            name = path.stem if stems[path.stem] == 1 else f"{path.parent.name}/{path.stem}"
        else:
            name = ids[0][:SHOWN_OF_ID]
        taken[name] += 1
        unused = name if taken[name] == 1 else f"{name} ({taken[name]})"
        ordered = sorted(own, key=lambda run: (run.dated, run.created, run.id))
        nodes.append(Node(unused, frozenset(ids), tuple(ordered)))
    return nodes


def _clocks(nodes: Sequence[Node]) -> Iterator[str]:
    """Nodes whose clock is wrong: their runs keep their order, and are judged."""
    for node in nodes:
        wrong = [run for run in node.runs if not run.dated]
        if wrong:
            yield (
                f"the clock of {node.name} is wrong: a run is dated {wrong[0].created}. Its runs "
                "count; set its clock"
            )
