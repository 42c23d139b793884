"""Nodes of a Ray cluster for the ranks of one training: a node each, all of it, and on it an object
that the bench gives us. It is the bench that starts ranks there; nothing here knows how."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from epochmark._version import __version__
from epochmark.errors import EpochmarkError
from epochmark.fleet.launchers.on_node import CLEARED, CLEARED_PREFIX
from epochmark.fleet.launchers.ray_cluster import Head, HeadLostError, RayNode, nodes_in
from epochmark.fleet.launchers.ray_places import alive, give_back, placed, trouble_of, whole

HIDDEN = (*CLEARED, CLEARED_PREFIX)
INSTALL = f"install {__version__} in the Python that Ray uses there"
SLOT_S = 60.0
"""How long a node that others use may take to get free."""
ANSWER_S = 900.0
"""How long a node may take to get a data set."""
LEAVE_S = 20.0
TICK_S = 1.0


@dataclass
class HeldNode:
    """A node that is ours (``bench.scaling.nodes.contract.Node``), and the actor on it."""

    ray: Any
    head: Head
    node: RayNode
    group: Any
    actor: Any = None

    @property
    def name(self) -> str:
        """What the user calls it."""
        return self.node.name

    def ask(self, method: str, *arguments: Any) -> Callable[[], Any]:
        """Call this method of the object there, now; what comes back waits for the answer. Raises
        ``EpochmarkError`` where there is none."""
        answer = getattr(self.actor, method).remote(*arguments)
        return lambda: self._answer(answer)

    def check(self) -> None:
        """Raises ``HeadLostError`` where the cluster is lost."""
        self.head.check()

    def leave(self) -> None:
        """Give the node back; what is left there ends. Raises ``HeadLostError``."""
        self.head.wait()
        if self.actor is not None:
            with contextlib.suppress(Exception):  # a node that is lost
                self.ray.get(self.actor.leave.remote(), timeout=LEAVE_S)
        give_back(self.ray, self.group, self.actor)

    def _answer(self, answer: Any) -> Any:
        deadline = time.monotonic() + ANSWER_S
        while time.monotonic() < deadline:
            self.check()
            if self.ray.wait([answer], timeout=TICK_S)[0]:
                try:
                    return self.ray.get(answer)
                except self.ray.exceptions.RayError as error:
                    raise EpochmarkError(f"{self.name}: {trouble_of(error, INSTALL)}") from error
        raise EpochmarkError(f"{self.name} did not answer for {ANSWER_S:.0f} s")


@contextlib.contextmanager
def held_nodes(
    ray: Any, head: Head, count: int, device: str, kind: type
) -> Iterator[list[HeldNode]]:
    """The first ``count`` nodes by name that have such a device (``cpu``, ``gpu``), all of each,
    with an object of this class made of the node's address and of what its workers shall not see.

    Raises ``EpochmarkError`` where there are fewer, or others use them, and ``HeadLostError``.
    """
    nodes = fitting(nodes_in(ray), count, device)
    held = [HeldNode(ray, head, node, whole(node)) for node in nodes]
    try:
        _wait_until_free(ray, head, held)
        for node, place in zip(nodes, held, strict=True):
            place.actor = placed(ray, place.group, kind).remote(node.address, HIDDEN)
        yield held
    except HeadLostError:
        held = []  # without the head nothing can be given back
        raise
    finally:
        for place in held:
            place.leave()


def fitting(nodes: Sequence[RayNode], count: int, device: str) -> list[RayNode]:
    """The first of those with such a device. Raises ``EpochmarkError`` (exit code 2) where there
    are fewer."""
    kind = "GPU" if device == "gpu" else "CPU"
    found = [node for node in nodes if node.resources.get(kind)]
    if len(found) < count:
        names = ", ".join(node.name for node in found[:20]) or "none"
        raise EpochmarkError(
            f"--devices {count} takes as many nodes, since each gives one device; this Ray cluster "
            f"has {len(found)} with a {kind}: {names}",
            exit_code=2,
        )
    return found[:count]


def _wait_until_free(ray: Any, head: Head, held: Sequence[HeldNode]) -> None:
    left = {place.group.ready(): place for place in held}
    deadline = time.monotonic() + SLOT_S
    while left:
        ready, _ = ray.wait([*left], timeout=TICK_S)
        for answer in ready:
            del left[answer]
        head.check()
        if left and time.monotonic() > deadline:
            raise EpochmarkError(_why_not_free(ray, [*left.values()]))


def _why_not_free(ray: Any, held: Sequence[HeldNode]) -> str:
    """A node that is gone does not get free later."""
    gone = ", ".join(place.name for place in held if not alive(ray, place.node))
    if gone:
        return f"this Ray cluster has lost {gone}"
    names = ", ".join(place.name for place in held)
    return f"other work of this Ray cluster uses {names}; try again later"
