"""What the kernel counts about this machine and a process tree: CPU time, steal, memory, quota.

One reading is a handful of system calls: on Linux the files stay open and are read with one
``pread`` each.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import psutil

from epochmark.hardware.cgroups import quota_statistics
from epochmark.hardware.processes import cpu_seconds, descendants
from epochmark.system import usable_cores

READ_BYTES = 1 << 16
MOST_BYTES = 1 << 22
"""No file read here is larger, with thousands of CPUs either."""
LARGEST = 1 << 62
PAGE_BYTES = 4096 if sys.platform == "win32" else os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = 100 if sys.platform == "win32" else os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Reading:
    """Counters at one moment, all of them growing; seconds are CPU seconds unless said otherwise.

    ``at_s`` is monotonic time. ``busy_s``, ``idle_s`` and ``steal_s`` are those of the CPUs we may
    run on, ``own_s`` that of our process tree. None: this system does not say.
    """

    at_s: float
    busy_s: float | None
    idle_s: float | None
    own_s: float
    steal_s: float | None = None
    runnable: int | None = None
    memory_stall_s: float | None = None
    swap_in_bytes: int | None = None
    quota_throttled_s: float | None = None
    suspended_s: float | None = None


class Counters(Protocol):
    """Reads the counters of one process tree and the machine around it."""

    source: str
    cpus: int

    def read(self) -> Reading:
        """All counters now. Cheap enough for a few times a second."""

    def look_for_children(self) -> bool:
        """Find processes that the tree has started since; whether there were any. Looks at
        every process of the machine, so it costs some milliseconds."""

    def close(self) -> None:
        """Close what is open."""


def open_counters(root: int) -> Counters:
    """Counters of the tree below process ``root`` (and of this process, which watches it)."""
    if sys.platform == "linux":
        return LinuxCounters(root)
    return PsutilCounters(root)


class PsutilCounters:
    """What psutil reports on every system."""

    source = "psutil"

    def __init__(self, root: int) -> None:
        self.cpus = usable_cores()
        self._root = root
        self._children: dict[int, psutil.Process] = {}

    def read(self) -> Reading:
        busy_s, idle_s = _busy_and_idle_s()
        return Reading(
            at_s=time.monotonic(),
            busy_s=busy_s,
            idle_s=idle_s,
            own_s=self._own_s(),
            swap_in_bytes=_swapped_in_bytes(),
            suspended_s=_asleep_s(),
        )

    def _own_s(self) -> float:
        total = time.process_time() + cpu_seconds(self._children.values())
        if self._root != os.getpid():
            with contextlib.suppress(psutil.Error):  # it has ended
                total += cpu_seconds([psutil.Process(self._root)])
        return total

    def look_for_children(self) -> bool:
        return _look_for_children(self._root, self._children)

    def close(self) -> None:
        pass


def _busy_and_idle_s() -> tuple[float, float] | tuple[None, None]:
    try:
        times = psutil.cpu_times()
    except Exception:  # psutil raises what comes up where the system's answer is not as it expects
        return None, None
    return times.user + times.system + getattr(times, "nice", 0.0), times.idle


def _swapped_in_bytes() -> int | None:
    """None on a Mac: there psutil counts page-ins of every pager, also those of mapped files."""
    if sys.platform == "darwin":
        return None
    try:
        return int(psutil.swap_memory().sin)
    except Exception:  # as above
        return None


def _asleep_s() -> float | None:
    """Seconds that a Mac has slept: its raw monotonic clock goes on then, that of uptime does
    not (``man clock_gettime``). None on other systems."""
    if sys.platform != "darwin":
        return None
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW) - time.clock_gettime(time.CLOCK_UPTIME_RAW)


class LinuxCounters:
    """The files below ``/proc``, and those of our control group, read directly.

    In a container ``/proc/stat`` counts the whole machine, which is what disturbs us; only the CPUs
    of our affinity mask are summed up. ``files`` is where ``proc`` and ``sys`` lie.
    """

    source = "/proc"

    def __init__(self, root: int, files: Path = Path("/")) -> None:
        self._root = root
        self._children: dict[int, psutil.Process] = {}
        mask = os.sched_getaffinity(0)
        self.cpus = len(mask)
        self._cpu_names = {f"cpu{number}".encode() for number in mask}
        self._stat = _open_kernels_own(files / "proc", "stat")
        self._root_stat = None if root == os.getpid() else _open(files / f"proc/{root}/stat")
        self._pressure = _open(files / "proc/pressure/memory")
        # where pressure is switched off its file opens, and only reading it fails
        self._vmstat = None if _content(self._pressure) else _open(files / "proc/vmstat")
        self._quota = _open(quota_statistics(files))

    def read(self) -> Reading:
        times = parse_stat(_content(self._stat), self._cpu_names)
        return Reading(
            at_s=time.monotonic(),
            busy_s=times.busy_s if times else None,
            idle_s=times.idle_s if times else None,
            steal_s=times.steal_s if times else None,
            runnable=times.runnable if times else None,
            own_s=self._own_s(),
            memory_stall_s=_counted(self._pressure, rb"full .*total=(\d{1,18})", 1e-6),
            swap_in_bytes=_pages_in_bytes(self._vmstat),
            quota_throttled_s=_throttled_s(self._quota),
            suspended_s=time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic(),
        )

    def _own_s(self) -> float:
        return (
            time.process_time()
            + parse_process_stat(_content(self._root_stat))
            + cpu_seconds(self._children.values())
        )

    def look_for_children(self) -> bool:
        return _look_for_children(self._root, self._children)

    def close(self) -> None:
        opened = (self._stat, self._root_stat, self._pressure, self._vmstat, self._quota)
        for descriptor in opened:
            if descriptor is not None:
                os.close(descriptor)


class CpuTimes(NamedTuple):
    """CPU seconds of some CPUs since the system started, and the tasks that run or wait now."""

    busy_s: float
    idle_s: float
    steal_s: float
    runnable: int | None


def parse_stat(content: bytes, cpu_names: set[bytes]) -> CpuTimes | None:
    """What ``/proc/stat`` has on these CPUs; None where one of them is missing (it went offline,
    or a container renumbers its CPUs) or what it says is no number.

    Guest time is part of user time (proc_stat(5)), waiting for I/O is idle.
    """
    found = set()
    busy = idle = steal = 0
    runnable = None
    try:
        for line in content.splitlines():
            name, _, rest = line.partition(b" ")
            if name in cpu_names:
                fields = [int(field) for field in rest.split()[:8]]
                busy += sum(fields[:3]) + sum(fields[5:7])
                idle += fields[3] + fields[4]
                steal += fields[7] if len(fields) > 7 else 0
                found.add(name)
            elif name == b"procs_running":
                runnable = int(rest)
                break
    except (ValueError, IndexError):
        return None
    if found != cpu_names or max(busy, idle, steal, runnable or 0) > LARGEST:
        return None
    return CpuTimes(busy / TICKS_PER_S, idle / TICKS_PER_S, steal / TICKS_PER_S, runnable)


def parse_process_stat(content: bytes) -> float:
    """CPU seconds of a process and of its children that ended, from ``/proc/<pid>/stat``.

    Fields 14 to 17 (proc_pid_stat(5)), counted behind the name, which may hold spaces. A process
    that is gone has none.
    """
    fields = content.rpartition(b")")[2].split()
    try:
        return sum(int(field) for field in fields[11:15]) / TICKS_PER_S
    except (ValueError, OverflowError):
        return 0.0


def _open(path: str | Path | None) -> int | None:
    try:
        return None if path is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _open_kernels_own(folder: Path, name: str) -> int | None:
    """A file of ``/proc``, unless something else was mounted over it: that of lxcfs counts what the
    container uses, so that what its neighbours use cannot be seen."""
    descriptor = _open(folder / name)
    if descriptor is not None and os.fstat(descriptor).st_dev != folder.stat().st_dev:
        os.close(descriptor)
        return None
    return descriptor


def _content(descriptor: int | None) -> bytes:
    """A whole file of ``/proc``, as of now; empty when it is not there or its process is gone."""
    content = b""
    try:
        while descriptor is not None:
            part = os.pread(descriptor, READ_BYTES, len(content))
            content += part
            if len(part) < READ_BYTES or len(content) > MOST_BYTES:
                break
    except OSError:
        return b""
    return content


def _counted(descriptor: int | None, pattern: bytes, unit: float) -> float | None:
    found = re.search(pattern, _content(descriptor))
    return int(found[1]) * unit if found else None


def _throttled_s(quota: int | None) -> float | None:
    """Version 2 of control groups counts microseconds, version 1 nanoseconds."""
    throttled_s = _counted(quota, rb"throttled_usec (\d{1,18})", 1e-6)
    if throttled_s is None:
        throttled_s = _counted(quota, rb"throttled_time (\d{1,18})", 1e-9)
    return throttled_s


def _pages_in_bytes(vmstat: int | None) -> int | None:
    pages = _counted(vmstat, rb"(?m)^pswpin (\d{1,18})", 1)
    return None if pages is None else int(pages) * PAGE_BYTES


def _look_for_children(root: int, known: dict[int, psutil.Process]) -> bool:
    found = descendants(root)
    fresh = not found.keys() <= known.keys()
    known.clear()
    known.update(found)
    return fresh
