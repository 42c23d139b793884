"""Before minutes are spent: is there memory enough for a training, here and on its device?"""

from __future__ import annotations

from dataclasses import dataclass

from epochmark.bench.request import RunRequest
from epochmark.errors import EpochmarkError
from epochmark.hardware.gpus.described import free_gpu_bytes
from epochmark.hardware.memory import free_memory_bytes, usable_memory_bytes
from epochmark.workloads._proof.memory import judge_bytes, state_bytes
from epochmark.workloads.memory_needed import training_memory

GIB = 2**30
SAID_BYTES = GIB
"""Less is not mentioned: a framework takes about as much for itself."""


@dataclass(frozen=True)
class MemoryNeeded:
    """What a run takes at least, in bytes: while it trains, and for the proof after that.

    ``on_host``: it trains in the machine's own memory, not in that of another device. ``kept`` is
    the training state that the worker then keeps, ``judged`` what float64 takes when the worker has
    ended.
    """

    what: str
    training: int
    kept: int
    judged: int
    on_host: bool

    @classmethod
    def of(cls, request: RunRequest) -> MemoryNeeded:
        """By the workload, the batch and the device of a run."""
        workload, size = request.workload, request.run_batch_size
        return cls(
            what=f"{workload.name} at batch {size}",
            training=training_memory(workload, size).total,
            kept=state_bytes(workload),
            judged=judge_bytes(workload, size),
            on_host=request.device == "cpu",
        )

    @property
    def host(self) -> int:
        """Of the machine's memory."""
        return max(self.kept + (self.training if self.on_host else 0), self.judged)

    @property
    def device(self) -> int:
        """Of the memory of a device that has its own."""
        return 0 if self.on_host else self.training

    def __str__(self) -> str:
        training = f"{gib(self.training)} to train"
        if self.on_host:
            parts = f"{training}, {gib(self.judged)} for the proof in float64 after that"
            return f"{self.what} needs at least {gib(self.host)} of memory ({parts})"
        return (
            f"{self.what} needs at least {training} on the device, and {gib(self.host)} of the "
            f"machine's memory for the proof in float64 after that"
        )


def gib(size: int) -> str:
    """``3.1 GiB``."""
    return f"{size / GIB:.1f} GiB"


def memory_remark(request: RunRequest) -> str | None:
    """What a run needs, where that is much; to be said before it starts."""
    needed = MemoryNeeded.of(request)
    return str(needed) if max(needed.host, needed.device) >= SAID_BYTES else None


def check_size(request: RunRequest) -> None:
    """Raise ``EpochmarkError`` (exit code 2) where a run needs more memory than this machine has:
    known before anything is waited for."""
    needed = MemoryNeeded.of(request)
    _check(needed, needed.host, usable_memory_bytes(), "are all that this machine has")


def check_memory(request: RunRequest) -> None:
    """Raise ``EpochmarkError`` (exit code 2), with the figures, where a run needs more memory than
    is free now: here, or on its GPU, as far as the system and the driver say."""
    needed = MemoryNeeded.of(request)
    _check(needed, needed.host, free_memory_bytes(), "are free on this machine")
    if request.device.partition(":")[0] == "gpu":
        _check(needed, needed.device, free_gpu_bytes(), "are free on its GPU")


def _check(needed: MemoryNeeded, need: int, free: int | None, where: str) -> None:
    if free is None or need <= free:
        return
    others = "Close other programs, or use" if "free" in where else "Use"
    raise EpochmarkError(
        f"{needed}, and {gib(free)} {where}.\n{others} a smaller --batch.", exit_code=2
    )
