"""Which cores are a device: equal shares of those usable here, those of one physical core
together."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from epochmark.hardware.cgroups import cpu_quota

T = TypeVar("T")
_TOPOLOGY = Path("/sys/devices/system/cpu")


def usable() -> list[int]:
    """Numbers of the cores this process may run on, those of one physical core together, and not
    more than a control group allows it the time of; none where the system cannot bind a process to
    cores (macOS)."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    found = sorted(os.sched_getaffinity(0), key=lambda core: (*_place(core), core))
    return within(found, cpu_quota())


def within(cores: Sequence[int], quota: float | None) -> list[int]:
    """As many whole cores as the quota (CPUs' worth of time) has, one at least; all without one."""
    allowed = len(cores) if quota is None else max(1, int(quota))
    return spread(cores, min(allowed, len(cores)))


def spread(choices: Sequence[T], count: int) -> list[T]:
    """``count`` of them (1 to all), from the first on and equally far apart: neighbours share a
    physical core."""
    return [*choices[:: len(choices) // count][:count]]


def shares(cores: Sequence[int], counts: Iterable[int]) -> list[list[int]]:
    """Equal shares of the cores, as many as the largest of the ``counts`` that are not more than
    there are cores; none where no count of several fits. A device is a share, whatever their
    number: so one device is compared with several of its like."""
    fitting = [count for count in counts if count <= len(cores)]
    most = max(fitting, default=0)
    if most == 0:
        return []
    size = len(cores) // most
    return [list(cores[start : start + size]) for start in range(0, size * most, size)]


def _place(core: int) -> tuple[int, int]:
    """Socket and physical core; both -1 where the system does not say."""
    folder = _TOPOLOGY / f"cpu{core}" / "topology"
    return _number(folder / "physical_package_id"), _number(folder / "core_id")


def _number(file: Path) -> int:
    try:
        return int(file.read_text("ascii"))
    except (OSError, ValueError):
        return -1
