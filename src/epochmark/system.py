"""What the system gives a process: cores to run on, priority, and locks."""

from __future__ import annotations

import contextlib
import os
from typing import Callable


def usable_cores() -> int:
    """Logical cores this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def usual_niceness() -> int:
    """That of this process and of all that it starts from now on: none, if that is allowed. Ray
    gives its workers one of 15, so that any other program would go before a run."""
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    return max(0, os.getpriority(os.PRIO_PROCESS, 0))


def wait_for_lock(descriptor: int, on_wait: Callable[[str], None]) -> None:
    """Lock an open file for this process alone, and write the process into it.

    ``on_wait`` gets, once, the process that holds it now. The lock goes with the process that holds
    it, however it ends.
    """
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        on_wait(holder if holder.isdigit() else "unknown")
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
