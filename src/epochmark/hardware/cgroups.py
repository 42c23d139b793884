"""The control group (version 2) that limits our CPU time and memory, as a container's does."""

from __future__ import annotations

import contextlib
import re
from operator import itemgetter
from pathlib import Path


def quota_statistics(cgroups: Path) -> Path | None:
    """The ``cpu.stat`` of the group that allows us the least CPU time; of equals the nearest."""
    tightest = min(_quotas(cgroups), key=itemgetter(0), default=None)
    return None if tightest is None else tightest[1] / "cpu.stat"


def cpu_quota(cgroups: Path) -> float | None:
    """The least CPUs' worth of time that a group around us allows; None where none limits it."""
    return min((quota for quota, _ in _quotas(cgroups)), default=None)


def memory_limit(cgroups: Path) -> int | None:
    """The least bytes of memory that a group around us allows; None where none limits them."""
    limits = []
    for group in _groups(cgroups):
        with contextlib.suppress(OSError, ValueError):
            limits.append(int((group / "memory.max").read_text("ascii")))  # or "max"
    return min(limits, default=None)


def _quotas(cgroups: Path) -> list[tuple[float, Path]]:
    """Every group around us that limits our CPU time, and to how many CPUs; the nearest first."""
    return [(quota, group) for group in _groups(cgroups) if (quota := _quota(group)) is not None]


def _groups(cgroups: Path) -> list[Path]:
    """Our group and those around it, the nearest first."""
    try:
        own = re.search(r"^0::/(.*)$", Path("/proc/self/cgroup").read_text("utf-8"), re.MULTILINE)
    except OSError:
        return []
    folder = cgroups / own[1] if own else cgroups
    return [group for group in (folder, *folder.parents) if group.is_relative_to(cgroups)]


def _quota(group: Path) -> float | None:
    """``cpu.max``: microseconds of CPU time in each period of so many, or ``max``."""
    with contextlib.suppress(OSError, ValueError):
        allowed, period = (group / "cpu.max").read_text("ascii").split()
        if allowed != "max":
            return int(allowed) / int(period)
    return None
