"""The one error class a user sees; caught once, in the command line. And who has no home."""

from __future__ import annotations

from pathlib import Path
from typing import Callable


class EpochmarkError(Exception):
    """Something the user should know, in words for the user.

    The message says what failed, where, and what to do next. ``exit_code`` is what the process
    should end with: 1 for a failure, 2 for a mistake in how the command was used.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def in_home(find: Callable[[], Path], instead: str) -> Path:
    """The folder that ``find`` gives, which it may look for in the user's home folder.

    Raises ``EpochmarkError`` where nobody knows that (no ``HOME``, and no entry for this user among
    the system's); ``instead`` says what else to do then.
    """
    try:
        found = find()
    except RuntimeError:  # of Path.expanduser, and of platformdirs
        found = Path("~")
    if found.parts[:1] == ("~",):  # older versions of platformdirs leave it so
        raise EpochmarkError(f"no home folder is known here: set HOME, or {instead}", exit_code=2)
    return found
