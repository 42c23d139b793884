"""Numbers and their nouns: ``1 epoch``, ``2 epochs``."""

from __future__ import annotations


def counted(count: float, noun: str) -> str:
    """A number of things; ``noun`` is the word for one of them, whose plural ends in s."""
    number = f"{count:g}" if isinstance(count, float) else f"{count:,}"
    return f"{number} {noun}{'' if count == 1 else 's'}"
