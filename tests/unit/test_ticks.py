"""Ticks of axes are round numbers."""

from __future__ import annotations

import pytest

from epochmark.report.drawing.ticks import log_ticks, round_ticks


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (0, 60.2, 8, [0, 10, 20, 30, 40, 50, 60]),
        (0, 1351, 5, [0, 500, 1000]),
        (0.953, 0.991, 5, [0.96, 0.97, 0.98, 0.99]),
        (2, 2, 5, [2]),
    ],
)
def test_ticks_are_round(low: float, high: float, most: int, ticks: list[float]) -> None:
    assert round_ticks(low, high, most) == ticks


@pytest.mark.parametrize(
    ("low", "high", "most", "ticks"),
    [
        (1, 200, 8, [1, 2, 5, 10, 20, 50, 100, 200]),
        (1, 200, 5, [1, 3, 10, 30, 100]),
        (1, 2e5, 6, [1, 10, 100, 1000, 10000, 100000]),
        (0.021, 0.049, 6, [0.025, 0.03, 0.035, 0.04, 0.045]),
    ],
)
def test_ticks_of_a_logarithmic_axis_are_round(
    low: float, high: float, most: int, ticks: list[float]
) -> None:
    assert log_ticks(low, high, most) == ticks
