"""The worker of a training over several nodes, as the launcher sees it: the first rank's reports,
and orders to the agents of all ranks."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from epochmark.bench.process.interrupts import interrupts_now
from epochmark.bench.scaling.nodes.agent import END, KILL, LOOK, RESUME, SUSPEND
from epochmark.bench.scaling.nodes.connections import CONTROL, LINK, connect
from epochmark.bench.scaling.nodes.contract import Door, Node
from epochmark.errors import EpochmarkError
from epochmark.worker.protocol import GO_ON, MAX_LINE_BYTES, STOP, ScaleJob, encode_job

ANSWER_S = 30.0
"""An agent that does not answer for so long is lost."""
LOST = "rank 0 was lost with its node"


@dataclass
class Control:
    """The connection to an agent. ``ended`` is what it said of its worker's end; ``lost`` that it
    did not answer in time, or without an end: nothing is waited for any more."""

    made: socket.socket
    ended: dict[str, Any] | None = None
    cpu_s: float = 0.0
    lost: bool = False
    _rest: bytes = b""

    def say(self, word: bytes) -> None:
        """An order; one that is lost is not heard."""
        with contextlib.suppress(OSError):
            self.made.sendall(word + b"\n")

    def hear(self) -> bool:
        """The answer to the oldest order that has none yet; False where nothing more comes."""
        while (line := self._line()) is not None:
            with contextlib.suppress(ValueError):
                said = json.loads(line)
                if isinstance(said, dict):
                    self.ended = said
                    continue
                self.cpu_s = float(said)
                return True
        return False

    def hear_end(self) -> None:
        """Until nothing more comes."""
        while self.hear():
            pass

    def _line(self) -> bytes | None:
        self.made.settimeout(ANSWER_S)
        while b"\n" not in self._rest:
            came = b""
            if not self.lost:
                with contextlib.suppress(OSError):
                    came = self.made.recv(1 << 16)
            if not came or len(self._rest) > MAX_LINE_BYTES:
                self.lost = True
                return None
            self._rest += came
        line, _, self._rest = self._rest.partition(b"\n")
        return line


@dataclass
class FarWorker:
    """Ranks on several nodes (``bench.process.worker.Worker``), the first rank first."""

    nodes: Sequence[Node]
    controls: Sequence[Control]
    link: socket.socket
    stderr_end: int
    spawned_ns: int
    exit_status: int | None = None
    _has_ended: bool = field(default=False)

    def __post_init__(self) -> None:
        self.report_end = self.link.fileno()
        self.exited = self.controls[0].made.fileno()

    @property
    def pid(self) -> None:
        """Its processes are elsewhere."""

    def ask_to_stop(self) -> None:
        """Ask the fit to end at its next lap."""
        self._say(STOP)

    def take_turn(self) -> None:
        """Let a parked fit go on, all ranks with it. Raises ``ClusterLostError``."""
        self.nodes[0].check()
        self._order(RESUME)
        self._say(GO_ON)

    def suspend(self) -> None:
        """Stop all ranks; when this returns, they are."""
        self._order(SUSPEND)

    def resume(self) -> None:
        """Let the ranks run again; a parked fit stays parked."""
        self._order(RESUME)

    def memory_bytes(self) -> int:
        """Not asked for: each node has its own memory."""
        return 0

    def cpu_seconds(self) -> float:
        """Of all ranks; asked for while they say nothing. Raises ``ClusterLostError``."""
        self.nodes[0].check()
        self._order(LOOK)
        return sum(control.cpu_s for control in self.controls)

    def wait(self) -> int | str:
        """The first rank's exit status, or why it has none."""
        self.controls[0].hear_end()
        said = self.controls[0].ended
        if said is None:
            return LOST
        status = said.get("status")
        return status if isinstance(status, int) else str(said.get("why") or LOST)[:1000]

    def end(self, at_once: bool) -> int | None:
        """Leave no rank alive."""
        if not self._has_ended:
            self._has_ended = True
            for control in self.controls:
                control.say(KILL if at_once else END)
            for control in self.controls:
                control.hear_end()
            status = self.wait()
            self.exit_status = status if isinstance(status, int) else None
        return self.exit_status

    def read_rest_of_stderr(self, tail: bytes) -> bytes:
        """What all ranks printed, the first one's last."""
        printed = [str((control.ended or {}).get("output", "")) for control in self.controls]
        return "".join(reversed(printed)).encode()

    def _say(self, word: bytes) -> None:
        with contextlib.suppress(OSError):
            self.link.sendall(word)

    def _order(self, word: bytes) -> None:
        """To all agents; when this returns, those that are there have done it."""
        for control in self.controls:
            control.say(word)
        for control in self.controls:
            control.hear()


@contextlib.contextmanager
def far_worker(nodes: Sequence[Node], make_job: Callable[[int], ScaleJob]) -> Iterator[FarWorker]:
    """A rank on each of these nodes, starting; none is left after the block.

    Raises ``EpochmarkError`` where that cannot be.
    """
    with contextlib.ExitStack() as owned:
        with interrupts_now():  # a node may take minutes
            answers = [node.ask("open", place == 0) for place, node in enumerate(nodes)]
            doors: list[Door] = [answer() for answer in answers]
            spawned_ns = time.monotonic_ns()
            controls = [
                Control(owned.enter_context(_connected(node, door, CONTROL)))
                for node, door in zip(nodes, doors, strict=True)
            ]
            link = owned.enter_context(_connected(nodes[0], doors[0], LINK))
        job = replace(make_job(spawned_ns), meeting=_meeting(doors[0]))
        for rank, control in enumerate(controls):
            others = _others(nodes, doors)
            fields = json.loads(encode_job(replace(job, rank=rank)))
            order = {"job": fields, "others": [] if rank else others}
            control.say(json.dumps(order).encode())
        nothing, write_end = os.pipe()  # what it prints comes when it has ended
        os.close(write_end)
        owned.callback(os.close, nothing)
        worker = FarWorker(nodes, controls, link, nothing, spawned_ns)
        try:
            yield worker
        finally:
            worker.end(at_once=True)


def _others(nodes: Sequence[Node], doors: Sequence[Door]) -> list[tuple[str, str, int, str]]:
    """Where the first rank reaches the others: what we call them, address, port and token."""
    return [
        (f"rank {rank} on {node.name}", door["address"], door["port"], door["token"])
        for rank, (node, door) in enumerate(zip(nodes, doors, strict=True))
        if rank
    ]


def _meeting(door: Door) -> str:
    return f"tcp://{door['address']}:{door['meeting']}"


def _connected(node: Node, door: Door, purpose: str) -> socket.socket:
    try:
        return connect(door["address"], door["port"], door["token"], purpose)
    except OSError as error:
        raise EpochmarkError(
            f"{node.name} cannot be reached at {door['address']}:{door['port']}: "
            f"{error.strerror or error}.\nRanks are started on ports that the system chooses."
        ) from error
