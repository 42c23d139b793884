"""Why a request is refused: a status of HTTP and sentences for who sent it."""

from __future__ import annotations


class RefusedError(Exception):
    """A request that is refused. ``problems`` are sentences about what was sent; ``headers`` go
    with the answer."""

    def __init__(
        self,
        status: int,
        sentence: str,
        problems: tuple[str, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.problems = problems
        self.headers = headers or {}
