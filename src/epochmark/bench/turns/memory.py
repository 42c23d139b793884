"""Whether another entry fits into memory beside those that are there, before it is started."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import psutil

from epochmark.errors import EpochmarkError
from epochmark.hardware.memory import usable_memory_bytes

RESERVE = 1.2
"""A worker grows a little after it is warm, above all while it proves its work."""


def check_room(name: str, taken: Sequence[int], likely: int | None = None) -> None:
    """Raise ``EpochmarkError`` where ``name`` is not likely to fit beside those that have ``taken``
    these bytes: it needs ``likely`` bytes, by default what the largest of them does, which trains
    the same. The first is always let in, and so is everything where the system tells nothing."""
    likely = max(taken, default=0) if likely is None else likely
    need = RESERVE * likely
    free = _free_bytes(sum(taken))
    if free is None or need <= free:
        return
    raise EpochmarkError(
        f"{name} does not fit into memory beside what was started before it: it is likely to take "
        f"{likely / 2**20:,.0f} MiB, and {free / 2**20:,.0f} MiB are free.\n"
        "All of them are in memory together: compare fewer of them, or close other programs."
    )


def _free_bytes(taken: int) -> int | None:
    """What the system can give to a new process; a control group may allow less."""
    known = []
    with contextlib.suppress(Exception):  # psutil's, of a ``/proc/meminfo`` that says nothing
        known.append(int(psutil.virtual_memory().available))
    usable = usable_memory_bytes()
    if usable is not None:
        known.append(max(0, usable - taken))
    return min(known, default=None)
