"""Which cores a process of tests may use, where several run side by side (pytest-xdist).

Imported by what runs in an engine's interpreter as well: Python 3.9.
"""

from __future__ import annotations

import os
from typing import Set

ALL: Set[int] = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
"""The logical cores of the whole session; empty where a process cannot be kept to some."""


def keep_to_own_share() -> None:
    """Each process takes its part of the cores: frameworks that use them all would wait for each
    other. Nothing is done where there is one process."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None or not ALL:
        return
    number, count = int(worker.removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    cores = sorted(ALL)
    os.sched_setaffinity(0, cores[number % len(cores) :: count])
