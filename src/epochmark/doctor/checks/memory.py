"""Memory: is there enough for a framework?"""

from __future__ import annotations

from collections.abc import Iterator

import psutil

from epochmark.doctor.contract import Check, Line, fault, note, ok
from epochmark.doctor.facts import Facts
from epochmark.hardware.cgroups import memory_limit
from epochmark.hardware.memory import memory_bytes

_GIB = 2**30
ENOUGH_BYTES = 2 * _GIB
LEAST_BYTES = _GIB // 2


def examine(facts: Facts) -> Iterator[Line]:
    """One line."""
    try:
        free: int | None = int(psutil.virtual_memory().available)
    except Exception:  # psutil raises what comes up where ``/proc`` is not as it expects
        free = None
    yield memory_line(memory_bytes(), memory_limit(facts.root), free)


def memory_line(total: int | None, limit: int | None, free: int | None) -> Line:
    """``limit``: what a control group allows; ``free``: what programs could have now."""
    if total is None or free is None:
        return note("this system does not show its memory")
    usable = min(total, limit or total)
    left = min(free, usable)
    text = f"{left / _GIB:.1f} GiB free of {usable / _GIB:.1f} GiB"
    if limit is not None and limit < total:
        text += f" (a control group allows that much of {total / _GIB:.1f} GiB)"
    if left < LEAST_BYTES:
        return fault(f"{text}: too little for any framework", "close other programs")
    if left < ENOUGH_BYTES:
        return note(f"{text}: tight for a framework", "close other programs")
    return ok(text)


CHECK = Check(
    name="memory",
    looks_at="free memory, and what a control group allows",
    notes="less than 2 GiB free",
    faults="less than 0.5 GiB free",
    examine=examine,
    needs_drivers=False,
)
