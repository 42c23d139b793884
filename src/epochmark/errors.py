"""The one error class a user sees; caught once, in the command line."""

from __future__ import annotations


class EpochmarkError(Exception):
    """Something the user should know, in words for the user.

    The message says what failed, where, and what to do next. ``exit_code`` is what the process
    should end with: 1 for a failure, 2 for a mistake in how the command was used.
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code
