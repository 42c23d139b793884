"""What may be ranked against what: only runs with one and the same key."""

from __future__ import annotations

from typing import NamedTuple

from epochmark.results.record import Machine, Record


class ComparabilityKey(NamedTuple):
    """Ranks and ratios of machines exist only inside one of these."""

    workload: str
    variant: tuple[str, ...]
    precision: str
    tuning: str
    engine_family: str

    def __str__(self) -> str:
        variant = f" ({', '.join(self.variant)})" if self.variant else ""
        return f"{self.workload}{variant}, {self.engine_family} {self.tuning}, {self.precision}"


def key_of(record: Record) -> ComparabilityKey:
    """The key of a record; the native engine's kernel version is part of its family."""
    family = record.engine.family
    kernel = record.engine.settings.get("kernel_version")
    return ComparabilityKey(
        workload=f"{record.workload.name} v{record.workload.version}",
        variant=tuple(record.workload.variant),
        precision=record.precision.observed or "precision not observed",
        tuning=record.engine.tuning,
        engine_family=f"{family} kernels {kernel}" if kernel else family,
    )


def machine_identity(machine: Machine) -> tuple[object, ...]:
    """What tells machines apart: the random id where there is one, else the hardware. Confined to
    fewer cores (taskset, a container) it is another machine."""
    if machine.machine_id is not None:
        return (machine.machine_id, machine.usable_cores)
    return hardware_of(machine)


def hardware_of(machine: Machine) -> tuple[object, ...]:
    """What tells machines without an id apart; it may have a twin, and change."""
    return (
        machine.cpu,
        machine.model,
        machine.usable_cores,
        machine.memory_bytes,
        machine.architecture,
        machine.os,
    )
