"""Every engine translates every word it knows: tiny workloads against float64, in one process."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from epochmark.engines import get_engine
from epochmark.workloads._proof import reference
from epochmark.workloads.shapes import parameter_shapes
from tests.engines.conftest import ENGINES, answer_of
from tests.engines.tiny_workloads import BATCH, TINY, batches_of, draw_parameters, draw_samples

DRIVER = Path(__file__).with_name("words_driver.py")

LOSS_TOLERANCE, STATE_TOLERANCE = 2e-5, 2e-3
"""Relative errors of float32."""

Found = Callable[[str], tuple[dict[str, Any], Any]]

STOCK = [
    (engine, name)
    for engine in ENGINES
    for name, workload in TINY.items()
    if get_engine(engine).info.offers(workload)
]
OF_A_PROCESS = ("threads", "inter_op_threads")
"""Settings that a framework takes once; test_tuned.py has those."""
TUNED = [
    (engine, f"{name}:{tunable.name}={value}")
    for engine, name in STOCK
    if name == "tiny-gpt"
    for tunable in get_engine(engine).info.tunables_on("cpu", TINY[name])
    if tunable.name not in OF_A_PROCESS
    for value in tunable.values[1:]
]
"""Each setting by itself: what was tuned for images must leave a transformer as it is."""
OFFERED = [*STOCK, *TUNED]


@pytest.fixture(scope="module")
def found_of(tmp_path_factory: pytest.TempPathFactory) -> Found:
    """What an engine did with all that it offers, and the arrays of its states."""

    @cache
    def found(engine: str) -> tuple[dict[str, Any], Any]:
        folder = tmp_path_factory.mktemp(engine)
        names = [name for offered, name in OFFERED if offered == engine]
        answer = answer_of(DRIVER, folder, engine, str(folder / "states.npz"), *names)
        with np.load(folder / "states.npz") as arrays:
            return answer, {name: arrays[name] for name in arrays.files}

    return found


@pytest.mark.parametrize(("engine", "name"), OFFERED)
def test_the_replay_is_that_of_float64(engine: str, name: str, found_of: Found) -> None:
    workload, found = TINY[name.partition(":")[0]], found_of(engine)[0][name]
    parts = workload.epochs if workload.passes == "once" else 1
    data = draw_samples(workload, parts * workload.train_samples)
    form = get_engine(engine).info.adam_form
    losses, _ = reference.train(workload, draw_parameters(workload), batches_of(data), form)
    assert found["replay"] == pytest.approx(losses, rel=LOSS_TOLERANCE)
    assert found["devices"] == ["cpu"]
    assert found["settings"]


@pytest.mark.parametrize(("engine", "name"), OFFERED)
def test_the_state_behind_a_fit_is_worth_what_the_engine_says(
    engine: str, name: str, found_of: Found
) -> None:
    found, arrays = found_of(engine)
    workload, reported = TINY[name.partition(":")[0]], found[name]
    steps = -(-workload.train_samples // BATCH)
    assert [epoch[0] for epoch in reported["epochs"]] == [steps, steps]
    assert reported["steps"] in (2 * steps, None)
    assert reported["epochs"][1][1] < reported["epochs"][0][1]
    weights = {
        parameter: arrays[f"{name}/weights/{parameter}"] for parameter in parameter_shapes(workload)
    }
    parts = workload.epochs if workload.passes == "once" else 1
    data = draw_samples(workload, parts * workload.train_samples)
    loss, accuracy, _ = reference.evaluate(workload, weights, *data)
    assert reported["loss"] == pytest.approx(loss, rel=LOSS_TOLERANCE)
    assert reported["accuracy"] == pytest.approx(accuracy, abs=1.5 / data[1].size)


@pytest.mark.parametrize(
    ("engine", "name"), [way for way in OFFERED if way[1].startswith("tiny-gpt")]
)
def test_a_training_set_passed_once_is_gone_through_in_its_order(
    engine: str, name: str, found_of: Found
) -> None:
    """No sample comes twice, though Keras goes through arrays by itself: float64 makes the same
    steps to the same weights and moments."""
    reported, arrays = found_of(engine)
    workload = TINY["tiny-gpt"]
    data = draw_samples(workload, workload.epochs * workload.train_samples)
    form = get_engine(engine).info.adam_form
    start = draw_parameters(workload)
    losses, right = reference.train(workload, start, batches_of(data), form)
    halves = np.array(losses).reshape(2, -1).mean(axis=1)
    assert [epoch[1] for epoch in reported[name]["epochs"]] == pytest.approx(
        halves, rel=LOSS_TOLERANCE
    )
    for parameter, weights in right.items():
        if parameter.endswith("key.bias"):
            continue  # it shifts all scores of a softmax alike: its gradient is rounding only
        moved = np.linalg.norm(weights - start[parameter])
        error = np.linalg.norm(arrays[f"{name}/weights/{parameter}"] - weights)
        assert error < STATE_TOLERANCE * moved, parameter
