"""How fetching reports what it is doing; drawing bars and rates is the command line's part."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called from the thread that fetches, at most some hundred times a second."""

    def __call__(self, what: str, done: int, total: int | None) -> None:
        """``done`` of ``total`` bytes (None: unknown) of ``what``.

        ``done`` 0 with ``total`` None also announces a step that counts nothing, such as a
        damaged cache that is about to be replaced.
        """
