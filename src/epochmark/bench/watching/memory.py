"""Before minutes are spent: is there memory enough for a training, here and on its device?

A run is refused only for what every engine holds in every precision: parameters, gradients and
moments, and of the proof the arrays of parameters. Activations differ from engine to engine (those
of ``native`` hardly depend on the batch, reduced precision halves them): they are an estimate, to
be said.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from epochmark.bench.request import RunRequest
from epochmark.errors import EpochmarkError
from epochmark.hardware.gpus.described import free_gpu_bytes
from epochmark.hardware.memory import free_memory_bytes, usable_memory_bytes
from epochmark.workloads._proof.memory import judge_bytes, judge_least_bytes
from epochmark.workloads.memory_needed import training_memory

MIB = 2**20
GIB = 2**30
SAID_BYTES = GIB
"""Less is not mentioned, and no GPU's driver is asked for it: a framework takes about as much for
itself."""


@dataclass(frozen=True)
class MemoryNeeded:
    """What a run takes, in bytes: while it trains, and for its proof in float64 after that.

    ``training`` and ``proof`` are certain, ``activations`` and ``proof_activations`` an estimate
    that comes on top of each. ``on_host``: it trains in the machine's own memory, not in that of
    another device. Without a proof both of its figures are 0.
    """

    workload: str
    batch_size: int
    training: int
    activations: int
    proof: int
    proof_activations: int
    on_host: bool

    @classmethod
    def of(cls, request: RunRequest, proves: bool = True) -> MemoryNeeded:
        """By the workload, the batch and the device of a run. ``proves``: whether its training
        goes on in float64 (trials, and trainings on several devices, have no such proof)."""
        workload, size = request.workload, request.run_batch_size
        memory = training_memory(workload, size)
        proof = judge_least_bytes(workload) if proves else 0
        return cls(
            workload=workload.name,
            batch_size=size,
            training=memory.certain,
            activations=memory.activations,
            proof=proof,
            proof_activations=judge_bytes(workload, size) - proof if proves else 0,
            on_host=request.device == "cpu",
        )

    @property
    def host(self) -> int:
        """Certainly of the machine's memory."""
        return max(self.training if self.on_host else 0, self.proof)

    @property
    def device(self) -> int:
        """Certainly of the memory of a device that has its own."""
        return 0 if self.on_host else self.training

    @property
    def most(self) -> int:
        """At one time, activations with it."""
        return max(self.training + self.activations, self.proof + self.proof_activations)

    def __str__(self) -> str:
        where = "of memory" if self.on_host else "on the device"
        training = (
            f"{self.workload} at batch {self.batch_size} needs {_least(self.training)} {where} to "
            f"train, and about {_about(self.activations)} more for activations"
        )
        if not self.proof:
            return training
        machine = "" if self.on_host else " of the machine's memory"
        return (
            f"{training}; after that {_least(self.proof)}{machine} for the proof in float64, and "
            f"about {_about(self.proof_activations)} more"
        )


def memory_remark(request: RunRequest) -> str | None:
    """What a run needs, where that is much; to be said before it starts."""
    needed = MemoryNeeded.of(request)
    return str(needed) if needed.most >= SAID_BYTES else None


def check_size(request: RunRequest, proves: bool = True) -> None:
    """Raise ``EpochmarkError`` (exit code 2) where a run certainly needs more memory than this
    machine has: known before anything is waited for. ``proves`` as for ``MemoryNeeded.of``."""
    needed = MemoryNeeded.of(request, proves)
    usable = usable_memory_bytes()
    if usable is not None and needed.host > usable:
        _refuse_host(needed, f"{_free(usable)} are all that this machine has", has_it=False)


def check_memory(request: RunRequest, proves: bool = True) -> None:
    """Raise ``EpochmarkError`` (exit code 2), with the figures, where a run certainly needs more
    memory than is free now: here, or on its GPU, as far as the system and the driver say.

    A driver is asked by a process of its own, for large workloads only. ``proves`` as for
    ``MemoryNeeded.of``.
    """
    needed = MemoryNeeded.of(request, proves)
    free = free_memory_bytes()
    if free is not None and needed.host > free:
        usable = usable_memory_bytes()
        has_it = usable is None or needed.host <= usable
        _refuse_host(needed, f"{_free(free)} are free on this machine", has_it)
    if request.device.partition(":")[0] == "gpu" and needed.device >= SAID_BYTES:
        _check_gpu(needed, free_gpu_bytes())


def _refuse_host(needed: MemoryNeeded, instead: str, has_it: bool) -> None:
    """``has_it``: the machine would have as much, without what other programs hold."""
    why = "for its proof in float64" if needed.host == needed.proof else "to train"
    others = "close other programs, or use" if has_it else "it needs"
    raise EpochmarkError(
        f"{needed.workload} needs at least {_least(needed.host)} of memory {why} at any batch "
        f"size, and {instead}: {others} a machine with more memory",
        exit_code=2,
    )


def _check_gpu(needed: MemoryNeeded, free: int | None) -> None:
    if free is not None and needed.device > free:
        raise EpochmarkError(
            f"{needed.workload} needs at least {_least(needed.device)} to train on the device at "
            f"any batch size, and {_free(free)} are free on its GPU: close other programs there, "
            "or use a GPU with more memory",
            exit_code=2,
        )


def _text(size: int, whole: Callable[[float], int]) -> str:
    if size < GIB:
        return f"{whole(size / MIB):,} MiB"
    return f"{whole(10 * size / GIB) / 10:.1f} GiB"


def _about(size: int) -> str:
    return _text(size, round)


def _least(size: int) -> str:
    """Rounded up, so that it is never shown as equal to less."""
    return _text(size, math.ceil)


def _free(size: int) -> str:
    return _text(size, math.floor)
