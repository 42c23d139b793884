"""How much one sender, and one address, may send in an hour."""

from __future__ import annotations

import ipaddress
import time
from math import ceil

from limits import RateLimitItemPerHour
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from epochmark.board.intake.refusal import RefusedError

IPV6_NETWORK = 64
"""Bits of an IPv6 address that stand for one subscriber."""


class Rates:
    """Counts of the last hour, in memory: a restart forgets them. Of the clock hour before, as much
    is counted as of it lies in the last 60 minutes."""

    def __init__(self, per_key: int, per_address: int) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._limits = {
            "key": RateLimitItemPerHour(per_key),
            "address": RateLimitItemPerHour(per_address),
        }

    def count(self, kind: str, name: str) -> None:
        """Count a request of a ``key`` or an ``address``. Raises ``RefusedError`` (429) above the
        limit, with the seconds after which fewer of them count."""
        limit = self._limits[kind]
        name = network_of(name) if kind == "address" else name
        if self._limiter.hit(limit, kind, name):
            return
        wait_s = self._limiter.get_window_stats(limit, kind, name).reset_time - time.time()
        raise RefusedError(
            429,
            f"more than {limit.amount} requests in an hour from this {kind}: try again later",
            headers={"Retry-After": str(max(1, ceil(wait_s)))},
        )


def network_of(address: str) -> str:
    """What counts as one address: an IPv4 address, a subscriber's network of IPv6."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if parsed.version == 4:
        return str(parsed)
    return str(ipaddress.ip_network((parsed, IPV6_NETWORK), strict=False))
