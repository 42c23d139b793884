"""Which samples each step sees, in frameworks that shuffle and gather by themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from epochmark.bench.interpreters.interpreter import Interpreter
from tests.engines.conftest import ENGINES, MNIST_MLP, TUNED, answer_of, tuned_settings

DRIVER = Path(__file__).with_name("order_driver.py")

PLAIN = [name for name in ENGINES if name != "native"]
"""Native gathers inside its own library, where Python cannot look into the train step."""

SAMPLES, BATCH = 20, 8

Answers = Callable[[str], list[dict[str, Any]]]


def drive(
    engine: str, folder: Path, *jobs: dict[str, Any], interpreter: Interpreter | None = None
) -> list[dict[str, Any]]:
    defaults: dict[str, Any] = {
        "samples": SAMPLES, "batch_size": BATCH, "epochs": 2, "stop_after_laps": None,
        "tuned_settings": {},
    }  # fmt: skip
    asked = [json.dumps({**defaults, **job}) for job in jobs]
    answers: list[dict[str, Any]] = answer_of(
        DRIVER, folder, engine, *asked, interpreter=interpreter
    )
    return answers


@pytest.fixture(scope="module")
def stock_of(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What an engine does as stock: in a whole fit, and in one that is to stop after two laps."""

    @cache
    def stock(engine: str) -> list[dict[str, Any]]:
        return drive(engine, tmp_path_factory.mktemp(engine), {}, {"stop_after_laps": 2})

    return stock


def assert_every_sample_once_an_epoch_in_a_new_order(seen: dict[str, Any]) -> None:
    assert [len(step) for step in seen["steps"]] == [8, 8, 4] * 2
    order = [index for step in seen["steps"] for index in step]
    first, second = order[:SAMPLES], order[SAMPLES:]
    assert sorted(first) == sorted(second) == list(range(SAMPLES))
    assert first != second
    assert first != list(range(SAMPLES))
    assert seen["epochs"] == [3, 6]
    assert sum(seen["laps"]) == 6


@pytest.mark.parametrize("engine", PLAIN)
def test_every_sample_once_an_epoch_in_a_new_order(engine: str, stock_of: Answers) -> None:
    assert_every_sample_once_an_epoch_in_a_new_order(stock_of(engine)[0])


@pytest.mark.parametrize("engine", TUNED)
def test_tuned_engines_shuffle_as_well(engine: str, tmp_path: Path) -> None:
    settings = tuned_settings(engine, MNIST_MLP)
    if engine == "torch":  # only the step is compiled, for half a minute
        del settings["compile"]
    (seen,) = drive(engine, tmp_path, {"tuned_settings": settings})
    assert_every_sample_once_an_epoch_in_a_new_order(seen)


@pytest.mark.parametrize("engine", PLAIN)
def test_a_lap_that_asks_to_stop_ends_the_fit(engine: str, stock_of: Answers) -> None:
    """At once, or with the step that the framework has already begun; the laps stay true."""
    seen = stock_of(engine)[1]
    assert sum(seen["laps"]) == len(seen["steps"])
    assert 2 <= len(seen["steps"]) <= 3
    assert len(seen["epochs"]) <= 1
