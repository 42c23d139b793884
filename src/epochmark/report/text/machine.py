"""A machine in lines of text."""

from __future__ import annotations

import math

from epochmark.analysis.machine.gpus import link_text
from epochmark.records.record import Gpu, Machine
from epochmark.records.wording import counted


def memory_text(machine: Machine) -> str | None:
    """How much memory there is, and how much of it may be used."""
    sizes = [(machine.memory_bytes, "")]
    if (machine.memory_limit_bytes or math.inf) < (machine.memory_bytes or math.inf):
        sizes.append((machine.memory_limit_bytes, " allowed"))
    known = [f"{size / 2**30:.1f} GiB{what}" for size, what in sizes if size is not None]
    return ", ".join(known) or None


def machine_lines(machine: Machine) -> list[str]:
    """One aligned ``name  value`` line per known fact."""
    cores = f"{machine.usable_cores} usable"
    if machine.physical_cores is not None:
        cores = f"{machine.physical_cores} physical, {cores}"
    virtualized = {True: "yes", False: "no", None: None}[machine.virtualized]
    facts = {
        "model": machine.model,
        "processor": machine.cpu,
        "microarchitecture": machine.microarchitecture,
        "instruction sets": ", ".join(machine.instruction_sets) or None,
        "cores": cores,
        "kinds of cores": machine.core_kinds,
        "CPU quota": None if machine.cpu_quota is None else counted(machine.cpu_quota, "CPU"),
        "memory": memory_text(machine),
        "system": f"{machine.os} {machine.os_version}".strip(),
        "kernel": f"{machine.kernel} ({machine.architecture})",
        "virtual machine": virtualized,
        "power": machine.power_source,
        "power mode": machine.power_mode,
        "CPU governor": machine.cpu_governor,
    }
    lines = [f"{name:<18} {value}" for name, value in facts.items() if value is not None]
    return [*lines, *(f"{'GPU':<18} {gpu_text(gpu)}" for gpu in machine.gpus or [])]


def gpu_text(gpu: Gpu) -> str:
    """Its name, and what its driver says of it."""
    link = link_text(gpu)
    known = [
        gpu.name,
        None if gpu.driver is None else f"driver {gpu.driver}",
        None if gpu.power_limit_w is None else f"power limit {gpu.power_limit_w:.0f} W",
        None if link is None else f"PCIe {link}",
    ]
    return ", ".join(filter(None, known))
