"""All nodes of a Ray cluster: a placement group takes a node, an actor in it starts the runs.

A node that others use does not hold up the rest: it gets its group when it is free, or is named.
Records are handed to ``on_record`` as they come, so that whatever is lost later costs none.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from epochmark._version import __version__
from epochmark.fleet.launchers.on_node import About, Done, NodeRunner
from epochmark.fleet.launchers.ray_cluster import Head, HeadLostError, RayNode
from epochmark.fleet.launchers.ray_places import alive, give_back, placed, trouble_of, whole

TICK_S = 0.5
AT_ONCE_S = 5.0
"""A node that is free gets its group sooner."""
ROUNDS = 2

NICE = (
    "its runs have a niceness of {}, so that any other program goes before them; start Ray there "
    "with RAY_worker_niceness=0"
)
SHIP = "--ship sends it this one"


@dataclass(frozen=True)
class Orders:
    """``runs`` are the arguments of ``epochmark run`` for each run of a round; ``slot_s`` is how
    long a node may take to get free; ``at_once`` nodes are measured at the same time."""

    runs: tuple[tuple[str, ...], ...]
    slot_s: float
    at_once: int


@dataclass
class _Visit:
    """A node while it is measured: its placement group, its actor once that is ready, and what is
    still to be run in this round."""

    node: RayNode
    group: Any
    asked_at: float
    left: deque[tuple[str, ...]]
    actor: Any = None
    greeted: bool = False


@dataclass
class Tour:
    """All nodes, round by round. ``on_record`` gets a node's name and what its run printed, and
    says what is wrong with that, if anything; ``on_change`` is called when a state changes."""

    ray: Any
    head: Head
    nodes: Sequence[RayNode]
    orders: Orders
    on_record: Callable[[str, Done], str | None]
    on_change: Callable[[], None]
    _visits: dict[Any, _Visit] = field(default_factory=dict)
    _granted: deque[_Visit] = field(default_factory=deque)

    def go(self) -> None:
        """Until every node has done its rounds or failed; whatever happens, nothing is left
        running on a node. (Nodes end by themselves what they run when their head is lost.)

        Raises ``HeadLostError``.
        """
        queue = deque(self.nodes)
        try:
            while queue or self._visits or self._granted:
                while queue and self._room(asked=True):
                    self._visit(queue.popleft())
                while self._granted and self._room():
                    self._enter(self._granted.popleft())
                ready, _ = self.ray.wait([*self._visits], timeout=TICK_S)
                for ref in ready:
                    visit = self._visits.pop(ref)
                    if not self._went_on(visit, ref):
                        self._leave(visit)
                        queue += [visit.node] if visit.node.state == "waiting" else []
                self._give_up_busy()
                self.head.check()
        except HeadLostError:
            self._visits.clear()
            self._granted.clear()
            raise
        finally:
            for visit in (*self._visits.values(), *self._granted):
                self._leave(visit)

    def _room(self, *, asked: bool = False) -> bool:
        """Whether another node may be measured; ``asked``: or asked for, so that those which may
        get free at once are counted. Busy ones do not hold up the rest."""
        taken = sum(visit.actor is not None for visit in self._visits.values())
        if asked:
            late = time.monotonic() - AT_ONCE_S
            visits = self._visits.values()
            taken += sum(visit.actor is None and visit.asked_at > late for visit in visits)
            taken += len(self._granted)
        return taken < self.orders.at_once

    def _visit(self, node: RayNode) -> None:
        self.head.wait()
        group = whole(node)
        visit = _Visit(node, group, time.monotonic(), deque(self.orders.runs))
        self._visits[group.ready()] = visit

    def _went_on(self, visit: _Visit, ref: Any) -> bool:
        """Take in what came, and start what is next; False where the visit is over."""
        node = visit.node
        try:
            came = self.ray.get(ref)
        except self.ray.exceptions.RayError as error:
            return self._failed(node, trouble_of(error, SHIP))
        if visit.actor is None:
            self._granted.append(visit)
            return True
        if not visit.greeted:
            visit.greeted = True
            about = cast("About", came)
            if about["epochmark"] != __version__:
                return self._failed(
                    node, f"it has epochmark {about['epochmark']}, not {__version__}; {SHIP}"
                )
            if about.get("niceness"):
                node.remark = NICE.format(about["niceness"])
            node.state = "running"
        else:
            trouble = self.on_record(node.name, Done(*came))
            if trouble is not None:
                return self._failed(node, trouble)
        if visit.left:
            self._visits[visit.actor.run.remote(visit.left.popleft())] = visit
            self.on_change()
            return True
        node.rounds += 1
        node.state = "done" if node.rounds == ROUNDS else "waiting"
        self.on_change()
        return False

    def _enter(self, visit: _Visit) -> None:
        """The actor, in the node's placement group."""
        self.head.wait()
        visit.actor = placed(self.ray, visit.group, NodeRunner).remote()
        self._visits[visit.actor.about.remote()] = visit

    def _failed(self, node: RayNode, why: str) -> Literal[False]:
        node.state, node.trouble = "failed", why
        self.on_change()
        return False

    def _give_up_busy(self) -> None:
        """Nodes that did not get free in time, or that are gone."""
        late = time.monotonic() - self.orders.slot_s
        for ref, visit in [*self._visits.items()]:
            if visit.actor is None and visit.asked_at < late:
                del self._visits[ref]
                self._leave(visit)
                busy = f"it was busy for {self.orders.slot_s:g} s"
                self._failed(visit.node, busy if alive(self.ray, visit.node) else "it is gone")

    def _leave(self, visit: _Visit) -> None:
        """Give the node back."""
        self.head.wait()
        give_back(self.ray, visit.group, visit.actor)
