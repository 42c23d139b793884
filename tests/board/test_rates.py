"""How much a key and an address may send: counted without keeping what no longer counts."""

from __future__ import annotations

import time

import pytest
from limits.storage import MemoryStorage

from epochmark.board.intake.rates import Rates
from epochmark.board.intake.refusal import RefusedError

IN_AN_HOUR = 1_000_000_000.0
"""800 seconds before a full hour."""


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, in its only element."""
    now = [IN_AN_HOUR]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def refused(rates: Rates, kind: str, name: str) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        rates.count(kind, name)
    return caught.value


def test_a_refusal_says_when_the_next_one_may_be_taken(clock: list[float]) -> None:
    rates = Rates(2, 2)
    rates.count("key", "a")
    rates.count("key", "a")
    assert refused(rates, "key", "a").headers["Retry-After"] in ("800", "801")
    rates.count("key", "b")
    clock[0] += 800 + 1700
    rates.count("key", "a")
    refused(rates, "key", "a")


def test_names_that_no_longer_count_are_forgotten(clock: list[float]) -> None:
    rates = Rates(2, 2)
    for number in range(50):
        rates.count("key", str(number))
    clock[0] += 3 * 3600
    storage = rates._limiter.storage
    assert isinstance(storage, MemoryStorage)
    until = time.monotonic() + 10
    while len(storage.storage) + len(storage.events) > 1 and time.monotonic() < until:
        rates.count("key", f"late {time.monotonic_ns()}")
        time.sleep(0.05)
        clock[0] += 3 * 3600
    assert len(storage.storage) + len(storage.events) <= 2


def test_an_ipv4_address_is_the_same_in_the_form_of_ipv6() -> None:
    rates = Rates(1, 1)
    rates.count("address", "::ffff:192.0.2.1")
    rates.count("address", "::ffff:192.0.2.2")
    assert refused(rates, "address", "192.0.2.1").status == 429
    rates.count("address", "2001:db8::1")
    assert refused(rates, "address", "2001:db8::2").status == 429
