"""What is asked of ``epochmark scale``, checked before anything is started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from epochmark.bench.plan import PlannedRun
from epochmark.bench.scaling import cores
from epochmark.bench.scaling.nodes.muster import ReadyNode
from epochmark.engines import Parallel, all_infos, get_engine
from epochmark.errors import EpochmarkError
from epochmark.records.documents.scaling import MOST_DEVICES, MOST_ENTRIES, Mode

MOST_SHARING = 8
"""Devices on a CPU that has fewer cores: they show the mathematics, which needs no more."""


@dataclass(frozen=True)
class ScaleRequest:
    """Numbers of devices, ascending and from 1 on, and when the turns end.

    ``planned`` is the run on a single device, with its batch; ``target`` the half width of an
    interval, as a share. ``shares`` are the cores of each device, none where devices have no cores
    of their own. With ``nodes``, each device is the first of its kind on one of them, in their
    order.
    """

    planned: PlannedRun
    counts: Sequence[int]
    mode: Mode
    target: float
    max_seconds: float
    shares: Sequence[Sequence[int]] = ()
    nodes: Sequence[ReadyNode] = ()

    @property
    def parallel(self) -> Parallel:
        """How its engine trains on several devices."""
        return offered(self.planned.request.engine)

    @property
    def on_cpu(self) -> bool:
        """Whether its devices are parts of a processor."""
        return self.planned.request.device == "cpu"

    def batch_size(self, count: int) -> int:
        """Of a step of all these devices together."""
        batch_size = self.planned.request.run_batch_size
        return batch_size * count if self.mode == "weak" else batch_size

    def rates(self, count: int) -> bool:
        """Whether each device has what is its own alone, so that time means something."""
        if self.nodes:
            return count == 1 or not self.on_cpu or bool(self.cores_of(count))
        return count == 1 or not self.on_cpu or count <= len(self.shares)

    def cores_of(self, count: int) -> list[list[int]]:
        """The cores of each process; none where processes are not bound."""
        if self.nodes:
            own = [node.cores for node in self.nodes[:count]]
            return own if self.on_cpu and all(own) else []
        if not self.on_cpu or not self.shares or count > len(self.shares):
            return []
        return [list(share) for share in cores.spread(self.shares, count)]


def scale_request(
    planned: PlannedRun, counts: Sequence[int], mode: Mode, target: float, max_seconds: float
) -> ScaleRequest:
    """A request that can be carried out, as far as is known before a framework is asked.

    Raises ``EpochmarkError`` (exit code 2) for what cannot.
    """
    request = planned.request
    shares = []
    if request.device == "cpu" and offered(request.engine).own_cores:
        shares = cores.shares(cores.usable(), counts)
    found = ScaleRequest(planned, counts, mode, target, max_seconds, shares)
    _check_devices(found)
    _check_split(found)
    return found


def nodes_request(
    planned: PlannedRun, counts: Sequence[int], mode: Mode, target: float, max_seconds: float
) -> ScaleRequest:
    """The same over nodes, which it is then given. Raises ``EpochmarkError`` (exit code 2)."""
    request = planned.request
    if not offered(request.engine).processes:
        others = ", ".join(
            info.name
            for info in all_infos()
            if info.parallel and info.parallel.processes and not info.hidden
        )
        _refuse(
            f"{request.engine} holds all devices in one process, so it cannot train over nodes; "
            f"these can: {others}"
        )
    if ":" in request.device:
        _refuse(f"scale takes a kind of devices, cpu, gpu or tpu, not {request.device}")
    found = ScaleRequest(planned, counts, mode, target, max_seconds)
    _check_split(found)
    return found


def offered(engine: str) -> Parallel:
    """How an engine trains on several devices. Raises ``EpochmarkError`` (exit code 2) where it
    does not, with those that do."""
    parallel = parallel_of(engine)
    if parallel is None:
        others = ", ".join(info.name for info in all_infos() if info.parallel and not info.hidden)
        _refuse(f"{engine} does not offer data-parallel training; these do: {others}")
    return parallel


def parallel_of(engine: str) -> Parallel | None:
    """How an engine trains on several devices; None where it does not."""
    return get_engine(engine).info.parallel


def parse_counts(text: str) -> list[int]:
    """``1,2,4`` as numbers, ascending, 1 among them: it is what the others are compared with.

    Raises ``EpochmarkError`` (exit code 2) for anything else.
    """
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() and len(word) < 10 for word in words):
        _refuse(f"{text!r} is not a list of numbers of devices; write it like 1,2,4")
    counts = sorted({1, *map(int, words)})
    if counts[0] < 1 or counts[-1] > MOST_DEVICES or len(counts) > MOST_ENTRIES:
        _refuse(
            f"--devices takes up to {MOST_ENTRIES} numbers from 1 to {MOST_DEVICES}, 1 among them; "
            f"not {text!r}"
        )
    return counts


def _check_devices(request: ScaleRequest) -> None:
    """On a CPU the number of devices; of others a worker counts those that it sees."""
    device = request.planned.request.device
    if ":" in device:
        _refuse(f"scale takes a kind of devices, cpu, gpu or tpu, not {device}")
    most, available = request.counts[-1], max(len(cores.usable()), MOST_SHARING)
    if request.on_cpu and most > available:
        _refuse(
            f"--devices {most} is more than there are: this command may use {len(cores.usable())} "
            f"cores, and up to {MOST_SHARING} devices may share them (to show the mathematics)"
        )


def _check_split(request: ScaleRequest) -> None:
    for count in request.counts:
        _check_split_over(request, count)


def _check_split_over(request: ScaleRequest, count: int) -> None:
    """Every device gets an equal part of a batch, and at least a sample of the replay's."""
    run = request.planned.request
    batch, workload = request.batch_size(count), run.workload
    if batch % count:
        fitting = [n for n in range(1, min(batch, 64) + 1) if batch % n == 0]
        _refuse(
            f"a batch of {batch} cannot be split evenly over {count} devices; over these it can: "
            f"{', '.join(map(str, fitting))} (or change it with --batch)"
        )
    if request.mode == "weak" and batch > workload.train_samples:
        _refuse(
            f"{count} devices with {run.run_batch_size} {workload.samples} each take {batch} a "
            f"step; an epoch of {workload.name} has {workload.train_samples}"
        )
    samples = workload.proof.replay_samples
    if count > samples or (not request.parallel.processes and samples % count):
        _refuse(
            f"the proof of {workload.name} has batches of {samples} {workload.samples}: "
            f"{run.engine} cannot split them over {count} devices"
        )


def _refuse(message: str) -> NoReturn:
    raise EpochmarkError(message, exit_code=2)
