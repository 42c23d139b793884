"""How many threads JAX starts: to be settled before JAX is imported."""

from __future__ import annotations

import os
from typing import Optional

from epochmark.engines._shared.contract import UnavailableError


def limit_threads(threads: Optional[int]) -> None:
    """JAX offers no setting for its CPU threads; it starts as many as the process may use CPUs, so
    this narrows that."""
    if threads is None:
        return
    if not hasattr(os, "sched_setaffinity"):
        raise UnavailableError(
            "JAX has no setting for its threads, and this system cannot bind a process to CPUs; "
            "omit --threads"
        )
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
