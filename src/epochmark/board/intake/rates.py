"""How much one sender, and one address, may send in an hour."""

from __future__ import annotations

import ipaddress
from math import ceil

from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from epochmark.board.intake.refusal import RefusedError

IPV6_NETWORK = 64
"""Bits of an IPv6 address that stand for one subscriber."""


class Rates:
    """Counts of the last hour, in memory: a restart forgets them."""

    def __init__(self, per_key: int, per_address: int) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())
        self._limits = {
            "key": RateLimitItemPerHour(per_key),
            "address": RateLimitItemPerHour(per_address),
        }

    def count(self, kind: str, name: str) -> None:
        """Count a request of a ``key`` or an ``address``. Raises ``RefusedError`` (429) above the
        limit, with the seconds between requests that keep it."""
        limit = self._limits[kind]
        name = _network(name) if kind == "address" else name
        if self._limiter.hit(limit, kind, name):
            return
        raise RefusedError(
            429,
            f"more than {limit.amount} requests in an hour from this {kind}: try again later",
            headers={"Retry-After": str(ceil(limit.get_expiry() / limit.amount))},
        )


def _network(address: str) -> str:
    """What counts as one address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))
