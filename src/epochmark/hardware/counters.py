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
from typing import Protocol

import psutil

from epochmark.hardware.cgroups import quota_statistics
from epochmark.hardware.machine import usable_cores

READ_BYTES = 1 << 16
PAGE_BYTES = 4096 if sys.platform == "win32" else os.sysconf("SC_PAGE_SIZE")
TICKS_PER_S = 100 if sys.platform == "win32" else os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Reading:
    """Counters at one moment, all of them growing; seconds are CPU seconds unless said otherwise.

    ``at_s`` is monotonic time. ``busy_s``, ``idle_s`` and ``steal_s`` are those of the CPUs we may
    run on, ``own_s`` that of our process tree. None: this system does not tell.
    """

    at_s: float
    busy_s: float
    idle_s: float
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
        """All counters now. Cheap enough for once a second."""

    def look_for_children(self) -> bool:
        """Find processes that the tree has started meanwhile; whether there were any. Looks at
        every process of the machine, so it costs some milliseconds."""

    def close(self) -> None:
        """Close what is open."""


def open_counters(root: int) -> Counters:
    """Counters of the tree below process ``root`` (and of this process, which watches it)."""
    if sys.platform == "linux":
        return LinuxCounters(root)
    return PsutilCounters(root)


class PsutilCounters:
    """What psutil tells on every system."""

    source = "psutil"

    def __init__(self, root: int) -> None:
        self.cpus = usable_cores()
        self._root = root
        self._children: dict[int, psutil.Process] = {}

    def read(self) -> Reading:
        times = psutil.cpu_times()
        return Reading(
            at_s=time.monotonic(),
            busy_s=times.user + times.system + getattr(times, "nice", 0.0),
            idle_s=times.idle,
            own_s=self._own_s(),
            swap_in_bytes=_swapped_in_bytes(),
            suspended_s=_asleep_s(),
        )

    def _own_s(self) -> float:
        total = time.process_time() + _cpu_seconds(self._children)
        if self._root != os.getpid():
            with contextlib.suppress(psutil.Error):
                total += sum(psutil.Process(self._root).cpu_times()[:4])
        return total

    def look_for_children(self) -> bool:
        return _look_for_children(self._root, self._children)

    def close(self) -> None:
        pass


def _swapped_in_bytes() -> int | None:
    """None on a Mac: there psutil counts page-ins of every pager, also those of mapped files."""
    return None if sys.platform == "darwin" else psutil.swap_memory().sin


def _asleep_s() -> float | None:
    """Seconds that a Mac has slept: its raw monotonic clock goes on meanwhile, that of uptime does
    not (``man clock_gettime``). None on other systems."""
    if sys.platform != "darwin":
        return None
    return time.clock_gettime(time.CLOCK_MONOTONIC_RAW) - time.clock_gettime(time.CLOCK_UPTIME_RAW)


class LinuxCounters:
    """The files below ``/proc``, and those of our control group, read directly.

    In a container ``/proc/stat`` counts the whole machine, which is what disturbs us; only the CPUs
    of our affinity mask are summed up.
    """

    source = "/proc"

    def __init__(self, root: int) -> None:
        self._root = root
        self._children: dict[int, psutil.Process] = {}
        mask = os.sched_getaffinity(0)
        self.cpus = len(mask)
        self._cpu_names = {f"cpu{number}".encode() for number in mask}
        self._stat = _open("/proc/stat")
        self._root_stat = None if root == os.getpid() else _open(f"/proc/{root}/stat")
        self._pressure = _open("/proc/pressure/memory")
        # where pressure is switched off its file opens, and only reading it fails
        self._vmstat = None if _content(self._pressure) else _open("/proc/vmstat")
        self._quota = _open(quota_statistics(Path("/sys/fs/cgroup")))

    def read(self) -> Reading:
        busy_s, idle_s, steal_s, runnable = parse_stat(_content(self._stat), self._cpu_names)
        return Reading(
            at_s=time.monotonic(),
            busy_s=busy_s,
            idle_s=idle_s,
            steal_s=steal_s,
            runnable=runnable,
            own_s=self._own_s(),
            memory_stall_s=_microseconds(self._pressure, rb"full .*total=(\d+)"),
            swap_in_bytes=_pages_in_bytes(self._vmstat),
            quota_throttled_s=_microseconds(self._quota, rb"throttled_usec (\d+)"),
            suspended_s=time.clock_gettime(time.CLOCK_BOOTTIME) - time.monotonic(),
        )

    def _own_s(self) -> float:
        return (
            time.process_time()
            + parse_process_stat(_content(self._root_stat))
            + _cpu_seconds(self._children)
        )

    def look_for_children(self) -> bool:
        return _look_for_children(self._root, self._children)

    def close(self) -> None:
        opened = (self._stat, self._root_stat, self._pressure, self._vmstat, self._quota)
        for descriptor in opened:
            if descriptor is not None:
                os.close(descriptor)


def parse_stat(content: bytes, cpu_names: set[bytes]) -> tuple[float, float, float, int]:
    """Busy, idle and stolen CPU seconds of these CPUs, and runnable tasks, from ``/proc/stat``.

    Guest time is part of user time (proc_stat(5)), waiting for I/O is idle.
    """
    busy = idle = steal = runnable = 0
    for line in content.splitlines():
        name, _, rest = line.partition(b" ")
        if name in cpu_names:
            fields = [int(field) for field in rest.split()[:8]]
            busy += sum(fields[:3]) + sum(fields[5:7])
            idle += fields[3] + fields[4]
            steal += fields[7] if len(fields) > 7 else 0
        elif name == b"procs_running":
            runnable = int(rest)
            break
    return busy / TICKS_PER_S, idle / TICKS_PER_S, steal / TICKS_PER_S, runnable


def parse_process_stat(content: bytes) -> float:
    """CPU seconds of a process and of its children that ended, from ``/proc/<pid>/stat``.

    Fields 14 to 17 (proc_pid_stat(5)), counted behind the name, which may hold spaces. A process
    that is gone has none.
    """
    fields = content.rpartition(b")")[2].split()
    return sum(int(field) for field in fields[11:15]) / TICKS_PER_S


def _open(path: str | Path | None) -> int | None:
    try:
        return None if path is None else os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None


def _content(descriptor: int | None) -> bytes:
    """A whole file of ``/proc``, as of now; empty when it is not there or its process is gone."""
    try:
        return b"" if descriptor is None else os.pread(descriptor, READ_BYTES, 0)
    except OSError:
        return b""


def _microseconds(descriptor: int | None, pattern: bytes) -> float | None:
    found = re.search(pattern, _content(descriptor))
    return int(found[1]) / 1e6 if found else None


def _pages_in_bytes(vmstat: int | None) -> int | None:
    found = re.search(rb"^pswpin (\d+)", _content(vmstat), re.MULTILINE)
    return int(found[1]) * PAGE_BYTES if found else None


def _cpu_seconds(processes: dict[int, psutil.Process]) -> float:
    """CPU seconds of those that live and of those they waited for."""
    total = 0.0
    for process in processes.values():
        with contextlib.suppress(psutil.Error):
            total += sum(process.cpu_times()[:4])
    return total


def _look_for_children(root: int, known: dict[int, psutil.Process]) -> bool:
    try:
        found = {child.pid: child for child in psutil.Process(root).children(recursive=True)}
    except psutil.Error:
        found = {}
    fresh = not found.keys() <= known.keys()
    known.clear()
    known.update(found)
    return fresh
