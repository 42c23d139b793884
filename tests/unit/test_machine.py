"""What a machine is said to be, on systems (a folder each) that say odd things or nothing."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import msgspec
import pytest

from epochmark.hardware.accelerators import accelerators
from epochmark.hardware.machine import core_kinds, describe_machine
from epochmark.hardware.memory import last_level_cache_bytes, memory_bytes, usable_memory_bytes
from epochmark.records.record import Machine
from epochmark.report.text.machine import machine_lines

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's files")

# AWS Graviton 3, /proc/cpuinfo of Linux 6.1: no name at all
GRAVITON = """processor\t: 0
BogoMIPS\t: 2100.00
Features\t: fp asimd evtstrm aes sve bf16
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x1
CPU part\t: 0xd40
CPU revision\t: 1
"""
# Raspberry Pi 4: the board stands for the processor
RASPBERRY = GRAVITON + "\nHardware\t: BCM2835\nModel\t\t: Raspberry Pi 4 Model B Rev 1.4\n"
# IBM Power 9
POWER = "processor\t: 0\ncpu\t\t: POWER9, altivec supported\nclock\t\t: 3800.000000MHz\n"
# SiFive U74
RISC_V = "processor\t: 0\nhart\t\t: 1\nisa\t\t: rv64imafdc\nuarch\t\t: sifive,u74-mc\n"
INTEL = "processor\t: 0\ncpu family\t: 6\nmodel name\t: Intel(R)  Xeon(R)   CPU\ncpu cores\t: 2\n"


def described(root: Path, **files: str | bytes) -> Machine:
    """The machine with these files (``__`` for a slash), as it comes back from a record's JSON."""
    for name, content in files.items():
        file = root / name.replace("__", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    machine = describe_machine(None, root)
    return msgspec.json.decode(msgspec.json.encode(machine), type=Machine)


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        (INTEL, "Intel(R) Xeon(R) CPU"),
        (GRAVITON, "ARM processor 0xd40 of maker 0x41"),
        (RASPBERRY, "BCM2835"),
        (POWER, "POWER9, altivec supported"),
        (RISC_V, "sifive,u74-mc"),
        ("model name\t: \n" + POWER, "POWER9, altivec supported"),
        ("model name\t: " + "X" * 5000 + "\n", "X" * 300),
        ("model name\t: a\x1b[31mb\u202ec\n", "a [31mb c"),
    ],
)
def test_a_processor_is_called_by_what_distinguishes_it(
    cpuinfo: str, name: str, tmp_path: Path
) -> None:
    assert described(tmp_path, proc__cpuinfo=cpuinfo).cpu == name


def test_a_machine_that_says_nothing_is_described_nevertheless(tmp_path: Path) -> None:
    machine = described(tmp_path)
    assert machine.cpu == (platform.processor() or "unknown")
    assert (machine.model, machine.cpu_governor, machine.virtualized) == (None, None, None)
    assert (machine.core_kinds, machine.cpu_quota, machine.memory_limit_bytes) == (None, None, None)
    assert machine_lines(machine)


def test_bytes_that_are_no_text_are_no_error(tmp_path: Path) -> None:
    noise = b"\xff\xfe\x00\x9c" * 2000
    names = (
        "proc__cpuinfo", "proc__self__cgroup", "proc__self__mountinfo",
        "sys__class__dmi__id__sys_vendor", "sys__class__dmi__id__product_name",
        "sys__devices__system__cpu__cpu0__cpufreq__scaling_governor",
        "sys__devices__system__cpu__cpu0__cpu_capacity",
        "sys__devices__system__cpu__cpu0__topology__thread_siblings_list",
        "sys__devices__system__cpu__cpu0__cache__index0__size",
        "sys__devices__cpu_core__cpus", "sys__firmware__acpi__platform_profile",
        "sys__class__drm__card0__device__vendor", "sys__fs__cgroup__cpu.max",
        "sys__fs__cgroup__memory.max",
    )  # fmt: skip
    machine = described(tmp_path, **dict.fromkeys(names, noise))
    assert machine.cpu_quota is None
    assert machine_lines(machine)
    assert accelerators(tmp_path) == ["cpu"]
    assert last_level_cache_bytes(tmp_path) is None


@pytest.mark.parametrize("said", ["", "0-", "-3", "0-3,", "fast", "0-9999999", "٣"])
def test_core_lists_that_are_none_name_no_kinds(said: str, tmp_path: Path) -> None:
    cpu = tmp_path / "sys/devices/system/cpu"
    for number, capacity in enumerate(("1024", said)):
        (cpu / f"cpu{number}/topology").mkdir(parents=True)
        (cpu / f"cpu{number}/cpu_capacity").write_text(capacity)
        (cpu / f"cpu{number}/topology/thread_siblings_list").write_text(said)
    assert core_kinds(tmp_path) is None


def test_a_container_may_use_less_memory_than_there_is(tmp_path: Path) -> None:
    machine = described(tmp_path, **{"sys__fs__cgroup__memory.max": "536870912\n"})
    total = memory_bytes()
    assert total is not None
    assert total > 512 << 20
    assert (machine.memory_bytes, machine.memory_limit_bytes) == (total, 512 << 20)
    assert usable_memory_bytes(tmp_path) == 512 << 20
    assert any(line.endswith("GiB, 0.5 GiB allowed") for line in machine_lines(machine))
