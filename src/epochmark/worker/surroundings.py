"""What surrounds a run and can change it: how Python itself runs, where threads may run.

Standard library only, Python 3.9.
"""

from __future__ import annotations

import os
import sys
import tracemalloc
from pathlib import Path
from typing import Dict, List, NamedTuple, Set, Tuple


def python_mode() -> Dict[str, str]:
    """How this Python itself runs, where that costs time: as it reports it, whatever set it."""
    found = [
        *(["development mode"] if sys.flags.dev_mode else []),
        *(["memory tracing"] if tracemalloc.is_tracing() else []),
        *(["a trace function"] if sys.gettrace() else []),
        *(["a profile function"] if sys.getprofile() else []),
        *(["debug build"] if hasattr(sys, "gettotalrefcount") else []),
    ]
    return {"Python mode": ", ".join(found)} if found else {}


class ThreadTimes(NamedTuple):
    """CPU time of every thread of this process, in clock ticks, by its number."""

    ticks: Dict[int, int]

    @classmethod
    def now(cls) -> ThreadTimes:
        """Empty where the system does not say (macOS)."""
        ticks = {}
        for task in _tasks():
            try:
                fields = (task / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
                ticks[int(task.name)] = int(fields[11]) + int(fields[12])
            except (OSError, ValueError, IndexError):
                continue  # it has just ended
        return cls(ticks)


BUSY_SHARE = 0.02
"""A thread with this share of the fit's CPU time did some of the work."""
MIN_TICKS = 20
"""Fewer clock ticks (a hundredth of a second each) do not distinguish threads."""


def busy_threads(before: ThreadTimes, now: ThreadTimes) -> Tuple[int, int]:
    """How many threads did the work since ``before``, and on how many CPUs they may run all
    together: fewer than threads means that they wait for each other. 0, 0 where too little was
    done, or the system does not say."""
    spent = {task: ticks - before.ticks.get(task, 0) for task, ticks in now.ticks.items()}
    total = sum(spent.values())
    if total < MIN_TICKS:
        return 0, 0
    busy = [task for task, ticks in spent.items() if ticks >= BUSY_SHARE * total]
    allowed: List[Set[int]] = []
    for task in busy:
        try:
            allowed.append(set(os.sched_getaffinity(task)))
        except OSError:
            return 0, 0  # it has just ended: what it was allowed is not known
    return len(busy), len(set().union(*allowed))


def _tasks() -> List[Path]:
    try:
        return list(Path("/proc/self/task").iterdir())
    except OSError:
        return []
