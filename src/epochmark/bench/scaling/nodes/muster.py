"""Nodes before a training on them: they must be alike, have what is needed, and get their cores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import msgspec

from epochmark._version import __version__
from epochmark.bench.request import RunRequest
from epochmark.bench.scaling.nodes.contract import About, Node
from epochmark.errors import EpochmarkError
from epochmark.records.record import Machine

InterpreterKind = Literal["own", "managed", "foreign"]


@dataclass(frozen=True)
class ReadyNode:
    """A node that has all that a rank needs. Those with one ``host`` number are on one machine;
    ``cores`` are those of its rank, none where it is bound to none. ``remark`` says what is odd."""

    node: Node
    machine: Machine
    host: int
    cores: list[int]
    interpreter: InterpreterKind
    remark: str


def mustered(
    nodes: Sequence[Node], request: RunRequest, python: str | None, keeps: bool
) -> list[ReadyNode]:
    """These nodes, ready for a training. ``python`` is the interpreter's path on all of them,
    ``keeps``: its document is to be kept.

    Raises ``EpochmarkError``, with the node's name, for another version of epochmark, Python or the
    engine, and where it lacks the engine, the data or a free machine.
    """
    asked = [node.ask("about", request.engine, python, keeps) for node in nodes]
    abouts: list[About] = [answer() for answer in asked]
    check_alike(nodes, abouts)
    for answer in [
        node.ask("prepare", request.engine, request.workload.name, request.seed) for node in nodes
    ]:
        answer()
    hosts = [*dict.fromkeys(about["host"] for about in abouts)]
    shares = shares_of(abouts) if request.device == "cpu" else [[] for _ in nodes]
    return [
        ReadyNode(
            node=node,
            machine=msgspec.json.decode(about["machine"], type=Machine),
            host=hosts.index(about["host"]),
            cores=share,
            interpreter=cast("InterpreterKind", about["interpreter"]),
            remark=niceness_text(about["niceness"]),
        )
        for node, about, share in zip(nodes, abouts, shares, strict=True)
    ]


def check_alike(nodes: Sequence[Node], abouts: Sequence[About]) -> None:
    """Raise ``EpochmarkError`` for the first node with another version than ours, or than the first
    node has."""
    for node, about in zip(nodes, abouts, strict=True):
        if about["epochmark"] != __version__:
            raise EpochmarkError(
                f"{node.name} has epochmark {about['epochmark']}, not {__version__}"
            )
        ours, theirs = _versions(abouts[0]), _versions(about)
        other = [name for name in {**ours, **theirs} if ours.get(name) != theirs.get(name)]
        if other:
            name = other[0]
            raise EpochmarkError(
                f"{node.name} has {name} {theirs.get(name, 'not at all')}, {nodes[0].name} has "
                f"{ours.get(name, 'none')}: ranks of other versions do not train together"
            )


def _versions(about: About) -> dict[str, str]:
    return {"Python": about["python"], **about["versions"]}


def shares_of(abouts: Sequence[About]) -> list[list[int]]:
    """The cores of each node's rank: as many for all, and none that nodes of one machine share,
    whichever each may use; no cores at all where there are too few for that, or they cannot be
    chosen."""
    most = min(len(about["cores"]) for about in abouts)
    tried = (_shares(abouts, size) for size in range(most, 0, -1))
    return next((found for found in tried if found), [[] for _ in abouts])


def _shares(abouts: Sequence[About], size: int) -> list[list[int]]:
    """This number of cores for each, first those that few nodes of its machine may use; none at all
    where they do not suffice."""
    wanted = Counter((about["host"], core) for about in abouts for core in about["cores"])
    taken: set[tuple[str, int]] = set()
    shares = []
    for about in abouts:
        places = [(about["host"], core) for core in about["cores"]]
        free = sorted((place for place in places if place not in taken), key=wanted.__getitem__)
        if len(free) < size:
            return []
        taken.update(free[:size])
        shares.append([core for _, core in free[:size]])
    return shares


def niceness_text(niceness: int) -> str:
    """What is odd about a node whose ranks other programs go before; empty where nothing is."""
    if not niceness:
        return ""
    return f"its rank has a niceness of {niceness}, so that any other program goes before it"
