"""Describe the machine: hardware model, memory and system; nothing that names its owner."""

from __future__ import annotations

import platform
import re
import secrets
import subprocess
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from epochmark.hardware.cgroups import cpu_quota, memory_limit
from epochmark.hardware.memory import memory_bytes
from epochmark.records.fields import MAX_GPUS
from epochmark.records.files import IrregularFileError, read_regular, write_atomically
from epochmark.records.record import Gpu, Machine
from epochmark.system import usable_cores

_FEATURES = (
    "avx512f", "avx512_vnni", "avx512_bf16", "avx2", "fma", "avx", "sse4_2", "amx_tile",
    "neon", "asimd", "sve", "sve2", "bf16", "sme",
)  # fmt: skip
"""Instruction sets that matter for training, of archspec's names."""


def describe_machine(
    machine_id: str | None, root: Path = Path("/"), gpus: Sequence[Gpu] = ()
) -> Machine:
    """This machine, as a record names it; what cannot be read is left out.

    ``root`` is where Linux's ``proc`` and ``sys`` lie. ``gpus`` are those that
    ``hardware.gpus.described`` finds: their drivers take a moment to answer.
    """
    microarchitecture, features = _microarchitecture()
    os_name, os_version = _operating_system()
    power = power_of(root)
    return Machine(
        machine_id=machine_id,
        model=_model(root),
        cpu=_cpu_name(root),
        microarchitecture=microarchitecture,
        instruction_sets=[feature for feature in _FEATURES if feature in features],
        physical_cores=_physical_cores(),
        usable_cores=usable_cores(),
        memory_bytes=memory_bytes(),
        memory_limit_bytes=memory_limit(root),
        os=os_name,
        os_version=os_version,
        kernel=_short(platform.release()) or "unknown",
        architecture=_short(platform.machine()) or "unknown",
        virtualized=_is_virtualized(root),
        power_source=power.source,
        cpu_governor=power.governor,
        power_mode=power.mode,
        core_kinds=core_kinds(root),
        cpu_quota=cpu_quota(root),
        gpus=list(gpus[:MAX_GPUS]) or None,
    )


class Power(NamedTuple):
    """What decides how fast the processor may be. ``source`` is ``mains`` or ``battery``, ``mode``
    a power profile, ``driver`` what carries out the ``governor``. None: not known here."""

    source: str | None
    mode: str | None
    governor: str | None
    driver: str | None


def power_of(root: Path = Path("/")) -> Power:
    """How this machine is powered now. ``root`` is where ``sys`` lies."""
    scaling = root / "sys/devices/system/cpu/cpu0/cpufreq"
    return Power(
        source=power_source(),
        mode=_power_mode(root),
        governor=_read(scaling / "scaling_governor"),
        driver=_read(scaling / "scaling_driver"),
    )


def _physical_cores() -> int | None:
    try:
        return psutil.cpu_count(logical=False)
    except Exception:  # psutil raises what comes up where ``/proc`` is not as it expects
        return None


def core_kinds(root: Path = Path("/")) -> str | None:
    """How the logical cores differ, or share physical ones; None where all stand alone and are
    equal, or the system does not say."""
    kinds = _apple_core_kinds() if platform.system() == "Darwin" else _linux_core_kinds(root)
    shared = _threads_per_core(root)
    parts = [f"{count} {kind}" for kind, count in kinds.items()] if len(kinds) > 1 else []
    if shared > 1:
        parts.append(f"up to {shared} threads a core")
    return _short(", ".join(parts))


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
    counted = Counter(int(text) for text in capacities if text.isascii() and text.isdecimal())
    return {
        f"of capacity {capacity}": counted[capacity] for capacity in sorted(counted, reverse=True)
    }


def _threads_per_core(root: Path) -> int:
    """The most threads that share one physical core (Linux; Apple's do not share)."""
    siblings = (root / "sys/devices/system/cpu").glob("cpu[0-9]*/topology/thread_siblings_list")
    return max((_listed(_read(file) or "0") for file in siblings), default=1)


def _listed(cpus: str) -> int:
    """How many CPUs a list of the kernel names (``0-3,8``); none in what is no such list."""
    if not re.fullmatch(r"\d{1,6}(-\d{1,6})?(,\d{1,6}(-\d{1,6})?)*", cpus, re.ASCII):
        return 0
    ends = [part.split("-") for part in cpus.split(",")]
    return sum(int(part[-1]) - int(part[0]) + 1 for part in ends)


def _power_mode(root: Path) -> str | None:
    """The power profile: ``platform_profile`` of Linux, the low power mode of macOS."""
    if platform.system() != "Darwin":
        return _read(root / "sys/firmware/acpi/platform_profile")
    settings = _output("/usr/bin/pmset", "-g") or ""
    found = re.search(r"^\s*(lowpowermode|powermode)\s+(\d)", settings, re.MULTILINE)
    return {"0": "automatic", "1": "low power", "2": "high power"}.get(found[2]) if found else None


def machine_id(folder: Path) -> str | None:
    """The random id of this machine, kept in ``folder``; deleting the file resets it.

    None where it can neither be read nor kept.
    """
    file = folder / "machine-id"
    try:
        kept = read_regular(file, 100).decode("ascii", "replace").strip()
        if re.fullmatch(r"[0-9a-f]{16}", kept):
            return kept
    except (OSError, IrregularFileError):
        pass
    fresh = secrets.token_hex(8)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(file, fresh.encode() + b"\n")
    except OSError:
        return None
    return fresh


def _short(text: str) -> str | None:
    """A name as a record can hold it: printable, in one line, not too long; None if nothing is
    left."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:300].strip() or None


def _read(path: str | Path) -> str | None:
    return _short(_read_all(Path(path)))


def _sysctl(name: str) -> str | None:
    return _short(_output("/usr/sbin/sysctl", "-n", name) or "")


def _output(*command: str) -> str | None:
    """What a program of the system prints; None where it is not there or fails."""
    try:
        result = subprocess.run(command, capture_output=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.decode("utf-8", errors="replace")


def _cpu_name(root: Path) -> str:
    """Its own name for itself; of ARM processors, which mostly have none, the numbers of maker and
    part, which distinguish them."""
    if platform.system() == "Darwin":
        return _sysctl("machdep.cpu.brand_string") or _short(platform.processor()) or "unknown"
    cpuinfo = _read_all(root / "proc/cpuinfo")
    for pattern in (r"(?:model name|Model|Hardware)", r"(?:cpu|uarch)"):  # PowerPC; RISC-V
        found = re.search(rf"^{pattern}[ \t]*:[ \t]*(\S.*)$", cpuinfo, re.MULTILINE)
        if found and (name := _short(found[1])):
            return name
    maker = re.search(r"^CPU implementer\s*:\s*(0x[0-9a-f]{1,4})$", cpuinfo, re.MULTILINE)
    part = re.search(r"^CPU part\s*:\s*(0x[0-9a-f]{1,4})$", cpuinfo, re.MULTILINE)
    if maker and part:
        return f"ARM processor {part[1]} of maker {maker[1]}"
    return _short(platform.processor()) or "unknown"


def _read_all(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _model(root: Path) -> str | None:
    """Maker and model of the machine, where the system says it without privileges."""
    if platform.system() == "Darwin":
        return _sysctl("hw.model")
    parts = [_read(root / f"sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")]
    known = [part for part in parts if part and "o.e.m." not in part.lower()]
    return _short(" ".join(known)) or _read(root / "proc/device-tree/model")


def _operating_system() -> tuple[str, str]:
    if platform.system() == "Darwin":
        return "macOS", platform.mac_ver()[0]
    try:
        release = platform.freedesktop_os_release()
    except (OSError, ValueError):  # not there, or not in UTF-8
        return platform.system(), ""
    return _short(release.get("NAME", "")) or "Linux", _short(release.get("VERSION_ID", "")) or ""


def _microarchitecture() -> tuple[str | None, frozenset[str]]:
    import archspec.cpu

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            host = archspec.cpu.host()
    except Exception:
        # archspec reads /proc and sysctl in many ways; a machine it cannot name is not an error
        return None, frozenset()
    return host.name, frozenset(host.features)


def _is_virtualized(root: Path) -> bool | None:
    """Whether the CPU says that a hypervisor is present (x86 on Linux), else None."""
    flags = re.search(r"^flags\s*:(.*)$", _read_all(root / "proc/cpuinfo"), re.MULTILINE)
    return " hypervisor" in flags[1] if flags else None


def power_source() -> str | None:
    """``mains`` or ``battery`` now; None where there is no battery, or the system does not say."""
    try:
        battery = psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    except Exception:  # as above
        return None
    if battery is None or battery.power_plugged is None:
        return None
    return "mains" if battery.power_plugged else "battery"
