"""A process tree through psutil, also where ``/proc`` lacks what psutil expects of it.

Where ``/proc/stat`` has no line ``btime`` psutil raises ``RuntimeError`` as it asks when a process
started, without ``/proc`` an ``IndexError``: what it cannot see is no reason for us to fail.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

import psutil


def descendants(root: int) -> dict[int, psutil.Process]:
    """The processes below ``root`` by their ids; none where the system does not show them."""
    try:
        found = psutil.Process(root).children(recursive=True)
    except psutil.Error:
        return {}
    except Exception:
        found = _below(root)
    return {process.pid: process for process in found}


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """CPU seconds of those that can be seen, and of the children they waited for."""
    total = 0.0
    for process in processes:
        with contextlib.suppress(Exception):
            total += sum(process.cpu_times()[:4])
    return total


def _below(root: int) -> list[psutil.Process]:
    """The same from nothing but each process's parent: slower, and asks for no start time."""
    children: dict[int, list[psutil.Process]] = {}
    with contextlib.suppress(Exception):
        for pid in psutil.pids():
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(pid)
                children.setdefault(process.ppid(), []).append(process)
    found = list(children.get(root, []))
    for process in found:
        found += children.get(process.pid, [])
    return found


def is_there(pid: int) -> bool:
    """Whether there is such a process, asked of the kernel itself: ``/proc`` may be hidden."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
