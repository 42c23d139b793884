"""Whether another entry fits into memory beside those that are there, before it is started."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.errors import EpochmarkError
from epochmark.hardware.memory import free_memory_bytes

RESERVE = 1.2
"""A worker grows a little after it is warm, above all while it proves its work."""


def check_room(name: str, taken: Sequence[int], likely: int | None = None) -> None:
    """Raise ``EpochmarkError`` where ``name`` is not likely to fit beside those that have ``taken``
    these bytes: it needs ``likely`` bytes, by default what the largest of them does, which trains
    the same. The first is always let in, and so is everything where the system tells nothing."""
    likely = max(taken, default=0) if likely is None else likely
    need = RESERVE * likely
    free = free_memory_bytes(sum(taken))
    if free is None or need <= free:
        return
    raise EpochmarkError(
        f"{name} does not fit into memory beside what was started before it: it is likely to take "
        f"{likely / 2**20:,.0f} MiB, and {free / 2**20:,.0f} MiB are free.\n"
        "All of them are in memory together: compare fewer of them, or close other programs."
    )
