"""How large caches and memory are, as far as the system says."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

import psutil

from epochmark.hardware.cgroups import memory_left, memory_limit

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def memory_bytes() -> int | None:
    """The machine's memory; None where the system does not say."""
    with contextlib.suppress(Exception):  # psutil's, of a ``/proc/meminfo`` that says nothing
        if (total := int(psutil.virtual_memory().total)) > 0:
            return total
    with contextlib.suppress(OSError, ValueError):  # asked of the kernel without any file
        if (total := os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) > 0:
            return total
    return None


def usable_memory_bytes(root: Path = Path("/")) -> int | None:
    """The machine's memory, or what a control group leaves us of it; None where neither is
    known."""
    known = [size for size in (memory_bytes(), memory_limit(root)) if size is not None]
    return min(known, default=None)


def free_memory_bytes(taken: int = 0, root: Path = Path("/")) -> int | None:
    """What the system can give to a new process; a control group may have less left. Our own
    processes have ``taken`` some, whatever both count. None where nothing is known."""
    known = []
    left = memory_left(root)
    if left is not None:
        known.append(left)
    with contextlib.suppress(Exception):  # psutil's, of a ``/proc/meminfo`` that says nothing
        known.append(int(psutil.virtual_memory().available))
    usable = usable_memory_bytes(root)
    if usable is not None:
        known.append(max(0, usable - taken))
    return min(known, default=None)


def last_level_cache_bytes(root: Path = Path("/")) -> int | None:
    """The sum of the last-level caches of all CPUs (Linux); None where the system does not say."""
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
