"""Data-parallel training: which engines offer it, and what ``epochmark scale`` asks of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Sequence, Tuple

if TYPE_CHECKING:
    from epochmark.engines._shared.contract import (
        Batch,
        Device,
        Indices,
        Inputs,
        Settings,
        Stopwatch,
        Targets,
        Weights,
    )
    from epochmark.workloads.spec import Optimizer


@dataclass(frozen=True)
class Parallel:
    """How an engine trains on several devices, for docs/scaling.md.

    ``processes``: one for each device; else one process holds all of them. ``own_cores``: on a CPU
    each device has cores of its own, so that its time means something; else they share threads, and
    only the mathematics can be shown.
    """

    through: str
    seen: str
    processes: bool
    own_cores: bool


@dataclass(frozen=True)
class Group:
    """The ``devices`` of a data-parallel training, and the place of this process among them.

    ``rank`` counts from 0 and is always 0 where one process holds all devices. Processes find each
    other by ``meeting``; None where there is one process only. On one machine it is a file that is
    not there yet. Over several it is ``tcp://ADDRESS:PORT``: then each process has the first device
    of its machine, and the first process has the port, bound, as the descriptor ``listening``.
    """

    devices: int
    rank: int = 0
    meeting: Optional[str] = None
    listening: Optional[int] = None

    @property
    def processes(self) -> int:
        """How many processes train."""
        return self.devices if self.meeting is not None else 1

    @property
    def address(self) -> Optional[Tuple[str, int]]:
        """Where processes of several machines meet; None on one machine."""
        scheme, _, place = (self.meeting or "").rpartition("://")
        host, _, port = place.rpartition(":")
        return (host, int(port)) if scheme == "tcp" else None

    @property
    def own_device(self) -> int:
        """Which of its machine's devices this process has."""
        return self.rank if self.address is None else 0


@dataclass(frozen=True)
class Replica:
    """The parameters as one device has them at the end: where they are, and the SHA-256
    (hexadecimal) of their bytes, in layer order."""

    device: str
    sha256: str


class DataParallel(ABC):
    """Training on several devices; the worker of each process calls the methods in this order.

    ``settings.batch_size`` is the whole batch. A process of several gets its equal part of it.
    """

    @abstractmethod
    def open(self, settings: Settings) -> Device:
        """Import the framework, take this process's devices, and meet the other processes."""

    @abstractmethod
    def load(self, inputs: Inputs, targets: Targets) -> Any:
        """The whole training set in host memory, as ``Engine.load`` has it."""

    @abstractmethod
    def build(self, weights: Weights) -> None:
        """Make model and optimizer with these initial weights on every device."""

    @abstractmethod
    def fit(self, data: Any, stopwatch: Stopwatch) -> None:
        """Train until the stopwatch says that it is enough, in steps of whole batches only."""

    @abstractmethod
    def replicas(self) -> List[Replica]:
        """The trained parameters on each device of this process."""

    @abstractmethod
    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        """``Engine.replay`` with each batch split over the devices. Of several processes each
        returns its part, whose mean over all of them is the batch's mean loss: a shard counts as
        many samples as it has."""

    @abstractmethod
    def all_reduce(self, numbers: int) -> Callable[[], None]:
        """The framework's own sum over all devices of that many float32 numbers: a call that
        returns when this process has the result."""

    def effective_settings(self) -> dict[str, Any]:
        """As that of ``Engine``."""
        return {}

    def forward_s(self) -> Optional[float]:
        """Seconds of a forward pass of this process, over all steps of the fit but the first: it
        waits for no other device. None where the device computes by itself."""
        return None


def whole_batches(
    orders: Any,
    batch_size: int,
    stopwatch: Stopwatch,
    take_sums: Callable[[], Tuple[float, float]],
    targets_per_batch: int,
) -> Any:
    """Indices ``(batch_size,)`` of every step, until the stopwatch says that it is enough; laps end
    between two steps.

    ``orders`` are the samples of each epoch in order; those left over for a smaller batch are left
    out. ``take_sums`` waits for the device and returns the sum of losses and right answers of
    ``targets_per_batch`` targets a step.
    """
    steps = 0
    for order in orders:
        for start in range(0, len(order) - batch_size + 1, batch_size):
            yield order[start : start + batch_size]
            steps += 1
            if stopwatch.wants_lap():
                loss_sum, correct = take_sums()
                seen = steps * targets_per_batch
                if not stopwatch.lap(steps, loss_sum / seen, correct / seen):
                    return
                steps = 0


def shard(batch: Indices, group: Group) -> Indices:
    """This process's part of a batch, in which no sample is lost where they cannot be equal."""
    size, rank, count = len(batch), group.rank, group.processes
    return batch[size * rank // count : size * (rank + 1) // count]
