"""The order of repeated runs: balanced, so that slow changes of the machine hit all alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def balanced(runs: Sequence[T], repeats: int) -> tuple[T, ...]:
    """Each run ``repeats`` times, in rounds that turn about: A B, B A, A B ...

    A machine that warms up steadily slows A as much as B, which it would not in A A B B (the
    counterbalanced order of experiments, ABBA). With an odd number of rounds one is left over.
    """
    forwards = tuple(runs)
    return tuple(
        run for number in range(repeats) for run in (forwards[::-1] if number % 2 else forwards)
    )
