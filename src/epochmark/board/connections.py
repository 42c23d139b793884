"""Connections that end when their client keeps them waiting, whatever stands before the board."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 10.0
"""For the whole head of a request, from the connection or the answer before."""
ANSWER_S = 60.0
"""From there to the end of the answer: for the body, the check, and whoever reads slowly."""


class BoundedProtocol(H11Protocol):
    """HTTP/1.1, each part of it within its time; then the connection is cut off. uvicorn itself
    only closes connections that are idle after an answer."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._allow(HEAD_S)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._limit is not None:
            self._limit.cancel()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        before = self.cycle
        super().handle_events()
        if self.cycle is not before:
            self._allow(ANSWER_S)

    def on_response_complete(self) -> None:
        is_unread = self.transport.get_write_buffer_size() > 0
        self._allow(ANSWER_S if is_unread else HEAD_S)
        super().on_response_complete()

    def _allow(self, seconds: float) -> None:
        """Cut the connection off when this time has passed and nothing else was allowed."""
        if self._limit is not None:
            self._limit.cancel()
        self._limit = self.loop.call_later(seconds, self.transport.abort)
