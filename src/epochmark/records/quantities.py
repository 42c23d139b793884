"""What sensors may read: units, and the values that can be; anything else is a sensor that lies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from epochmark.records.fields import Quantity

GIGA = 1e9
"""Of GFLOP/s and GB/s."""


@dataclass(frozen=True)
class Meaning:
    """Unit and plausible range of a quantity; ``grows`` per second at most where it is a sum that
    never falls, else None."""

    unit: str
    low: float
    high: float
    grows: float | None = None


QUANTITIES: dict[Quantity, Meaning] = {
    # a sensor that is not there reads 0 or -128; silicon does not work above 130
    "temperature": Meaning("°C", 1, 130),
    "frequency": Meaning("MHz", 10, 10_000),
    # 10 kW: above what one machine can draw from a socket
    "energy": Meaning("J", 0, 1e12, grows=10_000),
    "power": Meaning("W", 0, 10_000),
    "utilisation": Meaning("%", 0, 100),
    "memory": Meaning("bytes", 0, 1e15),
    # events and milliseconds both fit
    "throttle_count": Meaning("1", 0, 1e12, grows=1e6),
    "throttle_level": Meaning("1", 0, 10),
    "mains": Meaning("1", 0, 1),
}


def implausible(
    quantity: Quantity, at_s: Sequence[float], values: Sequence[float | None]
) -> int | None:
    """Index of the first value that cannot be; None when all can."""
    meaning = QUANTITIES[quantity]
    last_s, last = 0.0, None
    for index, (now_s, value) in enumerate(zip(at_s, values, strict=True)):
        if value is None:
            continue
        if not meaning.low <= value <= meaning.high:
            return index
        if meaning.grows is not None and last is not None:
            most = meaning.grows * max(now_s - last_s, 1.0)
            if not 0 <= value - last <= most:
                return index
        last_s, last = now_s, value
    return None
