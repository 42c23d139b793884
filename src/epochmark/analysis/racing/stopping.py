"""Whose turn it is, and when a race has seen enough.

The rules are explained in docs/measurement/racing.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import Literal, NamedTuple

from epochmark.analysis.racing.ratio import ratios
from epochmark.analysis.racing.turns import Turn

FIRST_LOOK = 20
"""Rounds before the first look: few pairs have narrow intervals by chance."""
NEXT_LOOK = 1.25
"""From one look to the next there are this many times as many rounds."""

Reason = Literal["resolved", "time", "going on"]


class Look(NamedTuple):
    """``done`` after that many turns, and why: every ratio is known as well as was asked, or the
    time is over."""

    turns: int
    done: bool
    reason: Reason


def order(entries: int) -> Iterator[int]:
    """Whose turn it is, for ever: in rounds in which each entry has one turn.

    A round begins with the entry that ended the round before (A B B A), and after ``2 * entries``
    rounds each entry has followed each other equally often, and been as far before it as behind it.
    The rows are those of Williams (Australian Journal of Scientific Research A 2, 1949), there and
    back. Raises ``ValueError`` for fewer than two entries.
    """
    if entries < 2:
        raise ValueError(f"{entries} entries are no race")
    there = [entry for row in _rows(entries) for entry in row]
    return cycle([*there, *reversed(there)])


def _rows(entries: int) -> Iterator[list[int]]:
    """Rounds of which each begins as the one before ends; the last ends as the first begins."""
    # 0, 1, -1, 2, -2, ...: neighbours differ by each number once
    steps = [(place + 1) // 2 * (1 if place % 2 else -1) for place in range(entries)]
    if entries % 2:
        for number in range(entries):
            yield [(number * steps[-1] + step) % entries for step in steps]
        return
    # these rows lead from n to n + half and back only; those with other names lead on
    half = entries // 2
    renamed = [*range(half, entries), *(number % half for number in range(1, half + 1))]
    for number in range(half):
        row = [(number + step) % entries for step in steps]
        yield row
        yield [renamed[entry] for entry in row]


def look(
    turns: Sequence[Turn], entries: int, target: float, elapsed_s: float, max_seconds: float
) -> Look:
    """Whether the race ends here; to be asked after every turn.

    ``target`` is half an interval, as a share of its ratio. Intervals are looked at after fixed
    numbers of rounds only: who looks all the time stops at a lucky moment.
    """
    count = len(turns)
    if elapsed_s >= max_seconds:
        return Look(count, True, "time")
    if not is_due(count, entries):
        return Look(count, False, "going on")
    found = ratios(turns, entries)[1:]
    if all(ratio is not None and ratio.half_width <= target for ratio in found):
        return Look(count, True, "resolved")
    return Look(count, False, "going on")


def is_due(turns: int, entries: int) -> bool:
    """Whether the intervals are looked at after this number of turns."""
    rounds, rest = divmod(turns, entries)
    return not rest and rounds in looks_until(rounds)


def looks_until(rounds: int) -> list[int]:
    """The numbers of rounds up to this one after which the intervals are looked at."""
    found, due = list[int](), float(FIRST_LOOK)
    while round(due) <= rounds:
        found.append(round(due))
        due *= NEXT_LOOK
    return found
