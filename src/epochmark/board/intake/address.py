"""Where a request came from."""

from __future__ import annotations

import hashlib
import hmac

from starlette.requests import Request

from epochmark.board.intake.rates import network_of

UNKNOWN = "unknown"


def address_of(request: Request) -> str:
    """The sender's address; what a trusted proxy says of it has been put in its place."""
    return request.client.host if request.client else UNKNOWN


def hashed(address: str, key: bytes) -> str | None:
    """What is kept of an address: a hash that cannot be turned back, nor tried out, without the
    board's key. None of one that is not known."""
    if address == UNKNOWN:
        return None
    network = network_of(address)
    return hmac.digest(key, f"epochmark address {network}".encode(), hashlib.sha256).hex()[:32]
