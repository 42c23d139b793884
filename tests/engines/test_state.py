"""What an engine reports as its training state is what it trains on from there.

Each engine trains a few steps, reports its state, and goes on through the same ``fit``, one batch a
call; float64 does the same steps from that state.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from epochmark.engines import get_engine
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._data.mnist_files import read_idx_folder
from epochmark.workloads._proof import continuation, float64, training_state
from epochmark.workloads._proof.replay_data import draw_lowest_bits
from epochmark.workloads.shapes import parameter_shapes
from tests.engines.conftest import ENGINES, TUNED, answer_of, tuned_settings

DRIVER = Path(__file__).with_name("state_driver.py")
BATCH_SIZE = 32
TRAINED_IMAGES = 2 * BATCH_SIZE + 8
"""Three steps an epoch, the last one of fewer images: as in the driver."""

LOSS_TOLERANCE, UPDATE_TOLERANCE = 1e-5, 5e-3
"""Relative errors of float32; those measured are below 1e-6 and 7e-4."""

Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class State:
    weights: Arrays
    first: Arrays
    second: Arrays
    steps: int | None


@dataclass(frozen=True)
class Continued:
    """An engine's states after its fit and after each further batch, and those batches' losses."""

    form: str
    states: list[State]
    losses: list[float]
    batches: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]


def continued(
    engine: str, folder: Path, mnist_folder: Path, further: int, **settings: Any
) -> Continued:
    output = folder / "states.npz"
    job = json.dumps({"further": further, **settings})
    answer = answer_of(DRIVER, folder, engine, str(mnist_folder), str(output), job)
    with np.load(output) as arrays:
        states = [
            State(
                _part(arrays, index, "weights"),
                _part(arrays, index, "first"),
                _part(arrays, index, "second"),
                steps,
            )
            for index, steps in enumerate(answer["steps"])
        ]
    images, labels, _, _ = read_idx_folder(mnist_folder)
    images = draw_lowest_bits(images[: TRAINED_IMAGES + BATCH_SIZE * further], 7)
    starts = range(TRAINED_IMAGES, len(images), BATCH_SIZE)
    batches = [
        (images[start : start + BATCH_SIZE], labels[start : start + BATCH_SIZE]) for start in starts
    ]
    return Continued(get_engine(engine).info.adam_form, states, answer["losses"], batches)


def _part(arrays: Any, index: int, part: str) -> Arrays:
    prefix = f"{index}.{part}."
    return {key[len(prefix) :]: arrays[key] for key in arrays.files if key.startswith(prefix)}


def errors_from(run: Continued, start: State) -> tuple[float, dict[str, float]]:
    """The largest relative error of a loss, and the relative error of each parameter's update over
    all batches, from the first state as the engine reports it."""
    judge = float64.Float64(MNIST_CNN, run.form)
    state = training_state.State(start.weights, start.first, start.second, start.steps or 0)
    right_losses, right = judge.follow(
        state, (continuation.shares_of(MNIST_CNN, batch) for batch in run.batches)
    )
    pairs = zip(run.losses, right_losses, strict=True)
    loss_error = max(abs(loss - right_loss) / right_loss for loss, right_loss in pairs)
    end = run.states[-1].weights
    return loss_error, float64.update_errors(MNIST_CNN, start.weights, end, right)


def assert_continues(run: Continued, trained_steps: int) -> None:
    counted = [state.steps for state in run.states]
    expected = list(range(trained_steps, trained_steps + len(counted)))
    assert counted in (expected, [None] * len(counted))
    start = replace(run.states[0], steps=trained_steps)
    loss_error, update_errors = errors_from(run, start)
    assert loss_error < LOSS_TOLERANCE
    assert set(update_errors) == set(parameter_shapes(MNIST_CNN))
    assert max(update_errors.values()) < UPDATE_TOLERANCE, update_errors


@pytest.fixture(scope="module")
def stock_of(
    tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path
) -> Callable[[str], Continued]:
    """An engine as stock, whose fit ends in its second epoch, after four steps; each further one is
    of one step, though settings allow ten epochs."""

    @cache
    def stock(engine: str) -> Continued:
        folder = tmp_path_factory.mktemp(engine)
        return continued(engine, folder, mnist_folder, further=2, max_steps=4)

    return stock


@pytest.mark.parametrize("engine", ENGINES)
def test_float64_continues_where_the_engine_says_it_is(
    engine: str, stock_of: Callable[[str], Continued]
) -> None:
    assert_continues(stock_of(engine), trained_steps=4)


@pytest.mark.parametrize("engine", [engine for engine in TUNED if engine != "torch"])
def test_tuned_engines_continue_as_well(engine: str, tmp_path: Path, mnist_folder: Path) -> None:
    """In a quick run, whose fit has a last step of fewer images. PyTorch compiles for most of a
    minute: its tuned run of test_tuned.py continues too."""
    tuning = {"tuning": "tuned", "tuned_settings": tuned_settings(engine)}
    run = continued(engine, tmp_path, mnist_folder, further=2, epochs=1, quick=True, **tuning)
    assert_continues(run, trained_steps=3)


@pytest.fixture(scope="module")
def honest(stock_of: Callable[[str], Continued]) -> Continued:
    return stock_of("jax")


def other_order(kernel: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Of a dense layer behind a flatten with the channels slowest, as PyTorch has it."""
    return kernel.reshape(12, 12, 64, -1).transpose(2, 0, 1, 3).reshape(kernel.shape)


def with_flatten_order_lost(arrays: Arrays) -> Arrays:
    return {**arrays, "dense_1.kernel": other_order(arrays["dense_1.kernel"])}


WRONG: dict[str, Callable[[State], State]] = {
    "swapped moments": lambda state: replace(state, first=state.second, second=state.first),
    "corrected moments": lambda state: replace(
        state, first={name: array / (1 - 0.9**4) for name, array in state.first.items()}
    ),
    "moments in another order": lambda state: replace(
        state,
        first=with_flatten_order_lost(state.first),
        second=with_flatten_order_lost(state.second),
    ),
    "moments of another step": lambda state: replace(
        state, first={name: 0 * array for name, array in state.first.items()}
    ),
    "one step too many": lambda state: replace(state, steps=5),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_moments_show_in_the_updates(kind: str, honest: Continued) -> None:
    _, update_errors = errors_from(honest, WRONG[kind](honest.states[0]))
    assert max(update_errors.values()) > 5 * UPDATE_TOLERANCE


def test_weights_in_another_order_show_in_the_losses(honest: Continued) -> None:
    state = honest.states[0]
    wrong = replace(state, weights=with_flatten_order_lost(state.weights))
    loss_error, _ = errors_from(honest, wrong)
    assert loss_error > 10 * LOSS_TOLERANCE


def test_a_state_that_was_kept_from_an_earlier_step_shows(honest: Continued) -> None:
    """Reported first: the losses do not fit. Reported last as well: nothing was updated."""
    first, second, _ = honest.states
    one_later = replace(honest, losses=honest.losses[1:], batches=honest.batches[1:])
    loss_error, _ = errors_from(one_later, first)
    assert loss_error > 10 * LOSS_TOLERANCE
    assert errors_from(one_later, second)[0] < LOSS_TOLERANCE
    _, update_errors = errors_from(replace(honest, states=[first, first]), first)
    assert min(update_errors.values()) == pytest.approx(1)
