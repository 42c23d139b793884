"""What of a framework's error message is worth telling: some have dozens of lines."""

from __future__ import annotations

import itertools
import re
from typing import List

_ABOUT_MEMORY = re.compile("memory|alloc|resource_exhausted", re.IGNORECASE)


def in_short(message: str) -> str:
    """The first and the last line of a message, and between them the first one about memory: some
    frameworks begin with what happened, others end with it, and allocators draw tables."""
    lines = telling_lines(message)
    about_memory = (line for line in lines[1:-1] if _ABOUT_MEMORY.search(line))
    kept = [*lines[:1], *itertools.islice(about_memory, 1), *lines[1:][-1:]]
    return " ... ".join(line[:330] for line in kept) if len(kept) > 1 else "".join(kept)[:1000]


def telling_lines(message: str) -> List[str]:
    """Its lines that have a letter or a digit."""
    return [line.strip() for line in message.splitlines() if any(map(str.isalnum, line))]
