"""The order of repeated runs: balanced, so that slow changes of the machine hit all alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from epochmark.errors import EpochmarkError

MAX_REPEATS = 100

T = TypeVar("T")


def check_repeats(option: str, repeats: int | None) -> None:
    """Raise ``EpochmarkError`` (exit code 2) for a number of repetitions that is out of range."""
    if repeats is not None and not 1 <= repeats <= MAX_REPEATS:
        raise EpochmarkError(
            f"{option} {repeats} is out of range: 1 to {MAX_REPEATS} (run the command again for "
            "more)",
            exit_code=2,
        )


def balanced(runs: Sequence[T], repeats: int) -> tuple[T, ...]:
    """Each run ``repeats`` times, in rounds of alternating order: A B, B A, A B ...

    A machine that warms up steadily slows A as much as B, which it would not in A A B B (the
    counterbalanced order of experiments, ABBA). With an odd number of rounds one is left over.
    """
    forwards = tuple(runs)
    return tuple(
        run for number in range(repeats) for run in (forwards[::-1] if number % 2 else forwards)
    )
