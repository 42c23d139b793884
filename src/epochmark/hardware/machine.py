"""Describe the machine: hardware model, memory and system; nothing that names its owner."""

from __future__ import annotations

import os
import platform
import re
import secrets
import subprocess
from collections import Counter
from pathlib import Path

import psutil

from epochmark.hardware.cgroups import cpu_quota
from epochmark.hardware.sensors.power_supply import sensed_battery
from epochmark.results.record import Machine

_FEATURES = (
    "avx512f", "avx512_vnni", "avx512_bf16", "avx2", "fma", "avx", "sse4_2", "amx_tile",
    "neon", "asimd", "sve", "sve2", "bf16", "sme",
)  # fmt: skip
"""Instruction sets that matter for training, of archspec's names."""


def describe_machine(machine_id: str | None) -> Machine:
    """This machine, as a record names it."""
    microarchitecture, features = _microarchitecture()
    os_name, os_version = _operating_system()
    return Machine(
        machine_id=machine_id,
        model=_model(),
        cpu=_cpu_name(),
        microarchitecture=microarchitecture,
        instruction_sets=[feature for feature in _FEATURES if feature in features],
        physical_cores=psutil.cpu_count(logical=False),
        usable_cores=usable_cores(),
        memory_bytes=psutil.virtual_memory().total,
        os=os_name,
        os_version=os_version,
        kernel=platform.release(),
        architecture=platform.machine(),
        virtualized=_is_virtualized(),
        power_source=_power_source(),
        cpu_governor=_read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        power_mode=_power_mode(),
        core_kinds=core_kinds(),
        cpu_quota=cpu_quota(Path("/sys/fs/cgroup")),
    )


def usable_cores() -> int:
    """Logical cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def core_kinds(root: Path = Path("/")) -> str | None:
    """How the logical cores differ, or share physical ones; None where all stand alone and are
    equal, or the system does not tell."""
    kinds = _apple_core_kinds() if platform.system() == "Darwin" else _linux_core_kinds(root)
    shared = _threads_per_core(root)
    parts = [f"{count} {kind}" for kind, count in kinds.items()] if len(kinds) > 1 else []
    if shared > 1:
        parts.append(f"up to {shared} threads a core")
    return ", ".join(parts) or None


def _apple_core_kinds() -> dict[str, int]:
    """By performance level, the fastest first (``hw.perflevel0``)."""
    kinds = {}
    for level in range(int(_sysctl("hw.nperflevels") or 0)):
        name = _sysctl(f"hw.perflevel{level}.name") or f"level {level}"
        kinds[name] = int(_sysctl(f"hw.perflevel{level}.logicalcpu") or 0)
    return kinds


def _linux_core_kinds(root: Path) -> dict[str, int]:
    """Intel's hybrid processors have one performance counter of each kind; ARM's big and little
    cores differ in ``cpu_capacity`` (1024: the fastest)."""
    hybrid = {"performance": "sys/devices/cpu_core/cpus", "efficient": "sys/devices/cpu_atom/cpus"}
    lists = {kind: _read(root / file) for kind, file in hybrid.items()}
    kinds = {kind: _listed(text) for kind, text in lists.items() if text}
    if kinds:
        return kinds
    capacities = [
        _read(file) or ""
        for file in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpu_capacity")
    ]
    counted = Counter(capacities)
    return {
        f"of capacity {capacity}": counted[capacity]
        for capacity in sorted(counted, key=int, reverse=True)
        if capacity.isdecimal()
    }


def _threads_per_core(root: Path) -> int:
    """The most threads that share one physical core (Linux; Apple's do not share)."""
    siblings = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")
    return max((_listed(_read(file) or "0") for file in siblings), default=1)


def _listed(cpus: str) -> int:
    """How many CPUs a list of the kernel names (``0-3,8``)."""
    ends = [part.split("-") for part in cpus.split(",")]
    return sum(int(part[-1]) - int(part[0]) + 1 for part in ends)


def _power_mode() -> str | None:
    """The power profile: ``platform_profile`` of Linux, the low power mode of macOS."""
    if platform.system() != "Darwin":
        return _read("/sys/firmware/acpi/platform_profile")
    settings = _output("/usr/bin/pmset", "-g") or ""
    found = re.search(r"^\s*(lowpowermode|powermode)\s+(\d)", settings, re.MULTILINE)
    return {"0": "automatic", "1": "low power", "2": "high power"}.get(found[2]) if found else None


def machine_id(folder: Path) -> str | None:
    """The random id of this machine, kept in ``folder``; deleting the file resets it.

    None where it can neither be read nor kept.
    """
    file = folder / "machine-id"
    kept = _read(file) or ""
    if re.fullmatch(r"[0-9a-f]{16}", kept):
        return kept
    fresh = secrets.token_hex(8)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(fresh + "\n", encoding="ascii")
    except OSError:
        return None
    return fresh


def _read(path: str | Path) -> str | None:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip("\0\n ")[:300] or None
    except OSError:
        return None


def _sysctl(name: str) -> str | None:
    return (_output("/usr/sbin/sysctl", "-n", name) or "").strip()[:300] or None


def _output(*command: str) -> str | None:
    """What a program of the system prints; None where it is not there or fails."""
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout


def _cpu_name() -> str:
    if platform.system() == "Darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.processor() or "unknown"
    cpuinfo = _read_all("/proc/cpuinfo")
    found = re.search(r"^(?:model name|Model|Hardware)\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return " ".join(found[1].split()) if found else platform.processor() or "unknown"


def _read_all(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _model() -> str | None:
    """Maker and model of the machine, where the system tells it without privileges."""
    if platform.system() == "Darwin":
        return _sysctl("hw.model")
    parts = (_read("/sys/class/dmi/id/sys_vendor"), _read("/sys/class/dmi/id/product_name"))
    known = [part for part in parts if part and "o.e.m." not in part.lower()]
    return " ".join(known)[:300] or _read("/proc/device-tree/model")


def _operating_system() -> tuple[str, str]:
    if platform.system() == "Darwin":
        return "macOS", platform.mac_ver()[0]
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        return platform.system(), ""
    return release.get("NAME", "Linux"), release.get("VERSION_ID", "")


def _microarchitecture() -> tuple[str | None, frozenset[str]]:
    import archspec.cpu

    try:
        host = archspec.cpu.host()
    except Exception:
        # archspec reads /proc and sysctl in many ways; a machine it cannot name is not an error
        return None, frozenset()
    return host.name, frozenset(host.features)


def _is_virtualized() -> bool | None:
    """Whether the CPU says that a hypervisor is present (x86 on Linux), else None."""
    flags = re.search(r"^flags\s*:(.*)$", _read_all("/proc/cpuinfo"), re.MULTILINE)
    return " hypervisor" in flags[1] if flags else None


def _power_source() -> str | None:
    battery = sensed_battery()
    if battery is None:
        return None
    return "mains" if battery.power_plugged else "battery"
