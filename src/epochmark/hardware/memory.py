"""How large caches and memory are, as far as the system tells."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import psutil

from epochmark.hardware.cgroups import memory_limit

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def usable_memory_bytes(cgroups: Path = Path("/sys/fs/cgroup")) -> int:
    """The machine's memory, or what a control group leaves us of it."""
    total = int(psutil.virtual_memory().total)
    return min(total, memory_limit(cgroups) or total)


def last_level_cache_bytes(root: Path = Path("/")) -> int | None:
    """The sum of the last-level caches of all CPUs (Linux); None where the system does not tell."""
    found: dict[tuple[int, str], int] = {}
    for cache in (root / "sys/devices/system/cpu").glob("cpu[0-9]*/cache/index[0-9]*"):
        with contextlib.suppress(OSError, ValueError):
            level = int(_read(cache / "level"))
            size = re.fullmatch(r"(\d+)([KMG]?)", _read(cache / "size"))
            if size and _read(cache / "type") != "Instruction":
                found[level, _read(cache / "shared_cpu_list")] = int(size[1]) * UNITS[size[2]]
    last = max((level for level, _ in found), default=0)
    return sum(size for (level, _), size in found.items() if level == last) or None


def _read(file: Path) -> str:
    return file.read_text("ascii").strip()
