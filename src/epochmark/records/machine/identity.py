"""Which machine is which: by its random id and its hardware."""

from __future__ import annotations

import math

from epochmark.records.record import Machine


def machine_identity(machine: Machine) -> tuple[object, ...]:
    """What distinguishes machines: the random id where there is one, and whatever the id says the
    hardware, since two machines may share a home folder. Confined to fewer cores or less CPU time
    (taskset, a container) it is another machine."""
    known = (machine.machine_id, *hardware_of(machine))
    return _lookalike(machine) if machine.machine_id is None else known


def same_machine(a: Machine, b: Machine) -> bool:
    """Whether the two may be one machine: by their ids, where both have one, and by hardware."""
    if None in (a.machine_id, b.machine_id):
        return hardware_of(a) == hardware_of(b)
    return machine_identity(a) == machine_identity(b)


def look_alike(a: Machine, b: Machine) -> bool:
    """Whether only an id could distinguish the two."""
    return _lookalike(a) == _lookalike(b)


def processor_of(machine: Machine) -> tuple[object, ...]:
    """What does not change with how much of the machine may be used."""
    return (
        machine.cpu,
        machine.microarchitecture,
        machine.architecture,
        _memory_class(machine.memory_bytes),
    )


def hardware_of(machine: Machine) -> tuple[object, ...]:
    """The processor, and how much of it may be used."""
    return (*processor_of(machine), machine.usable_cores, machine.cpu_quota)


def _lookalike(machine: Machine) -> tuple[object, ...]:
    """What distinguishes machines without an id; it may have a twin, and change."""
    return (*hardware_of(machine), machine.model, machine.os)


def _memory_class(size: int | None) -> int | None:
    """Memory in steps of a factor of 1.4: kernels keep more or less of it for themselves, while
    what machines are sold with differs by a third at least."""
    return None if not size else round(2 * math.log2(size))
