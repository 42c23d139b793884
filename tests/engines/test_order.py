"""Which samples each step sees, in frameworks that shuffle and gather by themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.engines.conftest import ENGINES, TUNED, answer_of, tuned_settings

DRIVER = Path(__file__).with_name("order_driver.py")

PLAIN = [name for name in ENGINES if name != "native"]
"""Native gathers inside its own library, where Python cannot look into the train step."""

SAMPLES, BATCH = 20, 8


def drive(engine: str, folder: Path, **job: Any) -> dict[str, Any]:
    defaults: dict[str, Any] = {
        "samples": SAMPLES, "batch_size": BATCH, "epochs": 2, "stop_after_laps": None,
        "tuned_settings": {},
    }  # fmt: skip
    answer: dict[str, Any] = answer_of(DRIVER, folder, engine, json.dumps({**defaults, **job}))
    return answer


@pytest.mark.parametrize(
    ("engine", "tuned_settings"),
    [*((name, {}) for name in PLAIN), *((name, tuned_settings(name)) for name in TUNED)],
)
def test_every_sample_once_an_epoch_in_a_new_order(
    engine: str, tuned_settings: dict[str, str], tmp_path: Path
) -> None:
    seen = drive(engine, tmp_path, tuned_settings=tuned_settings)
    assert [len(step) for step in seen["steps"]] == [8, 8, 4] * 2
    order = [index for step in seen["steps"] for index in step]
    first, second = order[:SAMPLES], order[SAMPLES:]
    assert sorted(first) == sorted(second) == list(range(SAMPLES))
    assert first != second
    assert first != list(range(SAMPLES))
    assert seen["epochs"] == [3, 6]
    assert sum(seen["laps"]) == 6


@pytest.mark.parametrize("engine", PLAIN)
def test_a_lap_that_asks_to_stop_ends_the_fit(engine: str, tmp_path: Path) -> None:
    """At once, or with the step that the framework has already begun; the laps stay true."""
    seen = drive(engine, tmp_path, stop_after_laps=2)
    assert sum(seen["laps"]) == len(seen["steps"])
    assert 2 <= len(seen["steps"]) <= 3
    assert len(seen["epochs"]) <= 1
