"""Repeated runs: their order."""

from __future__ import annotations

import pytest

from epochmark.bench.repeats import balanced


@pytest.mark.parametrize(
    ("runs", "repeats", "order"),
    [
        ("AB", 2, "ABBA"),
        ("AB", 4, "ABBAABBA"),
        ("ABC", 2, "ABCCBA"),
        ("A", 3, "AAA"),
        ("AB", 1, "AB"),
    ],
)
def test_rounds_turn_about(runs: str, repeats: int, order: str) -> None:
    assert "".join(balanced(runs, repeats)) == order


@pytest.mark.parametrize("repeats", [2, 4, 10])
def test_a_steady_change_hits_all_alike(repeats: int) -> None:
    order = balanced("ABCD", repeats)
    places = {name: sum(place for place, run in enumerate(order) if run == name) for name in "ABCD"}
    assert len(set(places.values())) == 1
