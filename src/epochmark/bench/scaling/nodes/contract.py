"""What a node of a cluster is to the bench, whoever runs the cluster, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypedDict


class Node(Protocol):
    """A machine, or a part of it, with an ``OnNode`` (``bench.scaling.nodes.on_node``)."""

    @property
    def name(self) -> str:
        """What the user calls it."""

    def ask(self, method: str, *arguments: Any) -> Callable[[], Any]:
        """Call this method of its ``OnNode``, now; what comes back waits for the answer, and raises
        ``EpochmarkError``, with the node's name, where there is none, ``ClusterLostError`` where
        all nodes are lost."""

    def check(self) -> None:
        """Raise ``ClusterLostError`` where the cluster is lost; to be called often."""


class About(TypedDict):
    """A node, as far as ranks on several of them must be alike.

    ``versions`` are those of the engine's distributions, ``interpreter`` the kind of its Python,
    ``machine`` the JSON of ``records.record.Machine``. Nodes with the same ``host`` are on one
    machine. ``cores`` are the numbers of those that may be used.
    """

    epochmark: str
    python: str
    versions: dict[str, str]
    interpreter: str
    machine: bytes
    host: str
    cores: list[int]
    niceness: int


class Files(TypedDict):
    """Where a node has what a worker reads: fields of ``worker.protocol.ScaleJob``."""

    data_folder: str
    weights_file: str
    replay_weights_file: str


class Door(TypedDict):
    """Where the agent of a rank listens, for those that know the ``token``. ``meeting`` is a port
    that it holds for the processes of the training to meet, of the first rank only."""

    address: str
    port: int
    token: str
    meeting: int | None
