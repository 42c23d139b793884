"""The one error class a user sees; caught once, in the command line."""

from __future__ import annotations

import difflib
from typing import Iterable, Optional


class EpochmarkError(Exception):
    """Something the user should know, in words for the user.

    The message says what failed, where, and what to do next. ``exit_code`` is what the process
    should end with: 1 for a failure, 2 for a mistake in how the command was used.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class ClusterLostError(EpochmarkError):
    """All machines of a training are lost with what joins them: nothing can go on there."""


class EpochmarkWarning(UserWarning):
    """Something of the user's that is passed over, in words for the user."""


def likeliest(word: str, names: Iterable[str]) -> Optional[str]:
    """The name that was probably meant by a word; None where none is like it."""
    names = list(names)
    parts = [name for name in names if name in word or (len(word) > 2 and word in name)]
    close = difflib.get_close_matches(word.lower(), names, n=1) or parts[:1]
    return close[0] if close else None


def unknown(kind: str, word: str, known: Iterable[str]) -> EpochmarkError:
    """That there is no such ``kind`` of thing, with those there are and the one most like it; exit
    code 2."""
    names = list(known)
    close = likeliest(word, names)
    meant = "" if close is None else f" (did you mean {close}?)"
    return EpochmarkError(
        f"there is no {kind} {word!r}{meant}; there are: {', '.join(names)}", exit_code=2
    )
