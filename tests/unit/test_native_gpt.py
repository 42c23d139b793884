"""The native kernels of gpt-3m against the float64 judge, on every instruction set there is."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from epochmark import native
from epochmark.engines import Settings
from epochmark.engines.native import NativeEngine
from epochmark.errors import EpochmarkError
from epochmark.workloads import WORKLOADS
from epochmark.workloads._data import read_data
from epochmark.workloads._proof import parity, replay_data
from epochmark.workloads._proof import reference as ref
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.shapes import judged_parameters
from epochmark.workloads.spec import SGD

GPT = WORKLOADS["gpt-3m"]
TARGETS = GPT.targets_per_sample
TOLERANCE = 1e-5
"""Of the largest entry of each gradient; float32 shows up to 2.5e-6."""

Symbols = npt.NDArray[np.uint8]
Arrays = Mapping[str, npt.NDArray[Any]]


def random_batch(size: int) -> tuple[Symbols, Symbols]:
    """Symbols and those that follow; the first ones do not depend on ``size``."""
    drawn = np.random.RandomState(0).randint(0, GPT.classes, (size, TARGETS + 1)).astype(np.uint8)
    return np.ascontiguousarray(drawn[:, :-1]), np.ascontiguousarray(drawn[:, 1:])


@functools.cache
def weights() -> dict[str, npt.NDArray[np.float32]]:
    """Wide enough that attention looks at some symbols more than at others."""
    return draw_weights(GPT, seed=3, bias_range=0.1, spread=3.0)


def new_network(batch: int, threads: int, instruction_set: str) -> native.Network:
    network = native.Network(GPT, batch, threads, instruction_set)
    network.set_weights(weights())
    return network


@functools.cache
def judged(sequence: int) -> tuple[float, dict[str, npt.NDArray[np.float64]]]:
    """Mean loss and gradients of one sequence."""
    inputs, targets = random_batch(sequence + 1)
    return ref.loss_and_gradients(GPT, weights(), inputs[sequence:], targets[sequence:])


def expected(size: int) -> tuple[float, Arrays]:
    parts = [judged(sequence) for sequence in range(size)]
    gradients = {name: np.mean([part[1][name] for part in parts], axis=0) for name in parts[0][1]}
    return sum(part[0] for part in parts) / size, gradients


def assert_close(gradients: Arrays, right: Arrays) -> None:
    assert gradients.keys() == right.keys()
    for name in judged_parameters(GPT):
        error = np.abs(gradients[name] - right[name]).max() / np.abs(right[name]).max()
        assert error < TOLERANCE, name
    for name in gradients.keys() - set(judged_parameters(GPT)):  # nothing but rounding
        assert np.abs(gradients[name]).max() < TOLERANCE * np.abs(right["norm.bias"]).max()


@pytest.mark.slow
@pytest.mark.parametrize("instruction_set", native.instruction_sets())
@pytest.mark.parametrize(("size", "threads"), [(1, 1), (1, 3), (3, 1), (3, 2), (3, 200)])
def test_gradients_are_those_of_the_float64_judge(
    instruction_set: str, size: int, threads: int
) -> None:
    network = new_network(size, threads, instruction_set)
    inputs, targets = random_batch(size)
    result, gradients = network.gradients(inputs, targets)
    loss, right = expected(size)
    assert network.instruction_set == instruction_set
    assert result.loss_sum / targets.size == pytest.approx(loss, rel=2e-7)
    assert_close(gradients, right)


@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_shorter_sequences_have_the_first_positions(instruction_set: str) -> None:
    """As the replay of gpt-124m has them."""
    network = native.Network(GPT, 3, 2, instruction_set, context=32)
    network.set_weights(weights())
    inputs, targets = (np.ascontiguousarray(part[:, :32]) for part in random_batch(3))
    result, gradients = network.gradients(inputs, targets)
    loss, right = ref.loss_and_gradients(GPT, weights(), inputs, targets)
    assert result.loss_sum / targets.size == pytest.approx(loss, rel=2e-7)
    assert_close(gradients, right)
    assert not gradients["positions.table"][32:].any()
    with pytest.raises(ValueError, match=r"contiguous uint8 \(n, 32\)"):
        network.gradients(*random_batch(3))


@pytest.mark.parametrize("context", [33, 160])
def test_other_lengths_of_sequences_are_refused(context: int) -> None:
    with pytest.raises(EpochmarkError, match="a multiple of 32 symbols, at most 128"):
        native.Network(GPT, 1, 1, context=context)


def test_a_replay_may_have_shorter_sequences() -> None:
    engine = NativeEngine()
    engine.open(Settings(GPT, "cpu", "float32", "stock", seed=0, epochs=1, batch_size=1, threads=2))
    inputs, targets = (part[:, :64] for part in random_batch(1))
    (loss,) = engine.replay(weights(), [(inputs, targets)])
    assert loss == pytest.approx(ref.evaluate(GPT, weights(), inputs, targets).loss, rel=1e-6)


@pytest.mark.parametrize("instruction_set", native.instruction_sets())
@pytest.mark.parametrize(("size", "threads"), [(5, 1), (7, 2), (7, 3)])
def test_a_batch_is_the_mean_of_its_parts(instruction_set: str, size: int, threads: int) -> None:
    inputs, targets = random_batch(size)
    result, gradients = new_network(size, threads, instruction_set).gradients(inputs, targets)
    single = new_network(1, 1, instruction_set)
    parts = [single.gradients(inputs[i : i + 1], targets[i : i + 1]) for i in range(size)]
    right: Arrays = {
        name: np.stack([part[1][name] for part in parts]).astype(np.float64).mean(axis=0)
        for name in gradients
    }
    assert result.loss_sum == pytest.approx(sum(part[0].loss_sum for part in parts), rel=1e-12)
    assert_close(gradients, right)


@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_counts_right_answers_and_leaves_the_weights_alone(instruction_set: str) -> None:
    inputs, targets = random_batch(3)
    network = new_network(3, 2, instruction_set)
    answers = ref.compute_logits(GPT, weights(), ref.prepare(GPT, inputs)).argmax(axis=-1)
    targets[:, ::3] = answers[:, ::3]
    result, _ = network.gradients(inputs, targets)
    assert result.correct == int((answers == targets).sum())
    assert result == network.evaluate_step(inputs, targets, np.arange(3, dtype=np.uint32))
    for name, array in network.get_weights().items():
        assert np.array_equal(array, weights()[name])


@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_of_equal_scores_the_first_symbol_is_the_answer(instruction_set: str) -> None:
    network = native.Network(GPT, 1, 1, instruction_set)
    network.set_weights({name: np.zeros_like(array) for name, array in weights().items()})
    inputs, targets = random_batch(1)
    targets[:] = np.arange(TARGETS)
    result = network.evaluate_step(inputs, targets, np.zeros(1, np.uint32))
    assert result.correct == 1
    assert result.loss_sum / TARGETS == pytest.approx(np.log(GPT.classes), rel=1e-7)


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_the_same_call_gives_the_same_bits(instruction_set: str, threads: int) -> None:
    inputs, targets = random_batch(5)
    trained = []
    for _ in range(2):
        network = new_network(5, threads, instruction_set)
        for order in ([0, 1, 2, 3, 4], [4, 2], [3]):
            network.train_step(inputs, targets, np.array(order, np.uint32))
        trained.append(network.get_weights())
    for name, array in trained[0].items():
        assert np.array_equal(array, trained[1][name]), name
        assert not np.array_equal(array, weights()[name]), name


def test_the_order_picks_the_sequences() -> None:
    inputs, targets = random_batch(6)
    network = new_network(4, 2, native.instruction_sets()[0])
    picked = np.array([5, 1, 1, 4], np.uint32)
    everything = np.arange(4, dtype=np.uint32)
    right = network.evaluate_step(inputs[picked], targets[picked], everything)
    assert network.evaluate_step(inputs, targets, picked) == right


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_replay_stays_with_the_golden_losses(instruction_set: str, threads: int) -> None:
    size = GPT.proof.replay_samples
    network = native.Network(GPT, size, threads, instruction_set)
    network.set_weights(replay_data.replay_weights(GPT))
    data = read_data(GPT, "")
    everything = np.arange(size, dtype=np.uint32)
    losses = []
    for batch in replay_data.replay_batches(GPT, data.inputs, data.targets):
        inputs, targets = map(np.ascontiguousarray, batch)
        result = network.train_step(inputs, targets, everything)
        losses.append(result.loss_sum / targets.size)
    golden = replay_data.golden_losses(GPT, "epsilon_hat")
    assert parity.judge(losses, golden, parity.replay_tolerances(GPT)).precision == "float32"


@pytest.mark.slow
def test_a_replay_by_sgd_follows_float64() -> None:
    engine, rate = NativeEngine(), 0.1
    engine.open(Settings(GPT, "cpu", "float32", "stock", seed=0, epochs=1, batch_size=1, threads=2))
    batch = random_batch(1)
    first, second = engine.replay(weights(), [batch, batch], SGD(rate))
    loss, gradients = judged(0)
    moved = {name: weights()[name] - rate * gradient for name, gradient in gradients.items()}
    right = ref.evaluate(GPT, moved, *batch).loss
    assert right < 0.99 * loss
    assert (first, second) == pytest.approx((loss, right), rel=1e-6)


@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_not_a_number_is_seen(instruction_set: str) -> None:
    network = native.Network(GPT, 1, 1, instruction_set)
    broken = dict(weights(), **{"attention_2.heads.query.bias": np.full(256, np.nan, np.float32)})
    network.set_weights(broken)
    result, _ = network.gradients(*random_batch(1))
    assert np.isnan(result.loss_sum)


@pytest.mark.parametrize(
    ("inputs", "targets", "complaint"),
    [
        (np.zeros((2, 128), np.uint16), np.zeros((2, 128), np.uint8), "contiguous uint8"),
        (np.zeros((2, 127), np.uint8), np.zeros((2, 128), np.uint8), r"\(n, 128\)"),
        (np.zeros((2, 128), np.uint8), np.zeros((2, 127), np.uint8), r"\(n, 128\)"),
        (np.zeros((2, 256), np.uint8)[:, ::2], np.zeros((2, 128), np.uint8), "contiguous"),
        (np.zeros((2, 128), np.uint8), np.zeros((1, 128), np.uint8), "do not match"),
        (np.zeros((0, 128), np.uint8), np.zeros((0, 128), np.uint8), "0 sequences"),
    ],
)
def test_data_of_the_wrong_kind(inputs: Any, targets: Any, complaint: str) -> None:
    network = native.Network(GPT, 2, 1)
    with pytest.raises(ValueError, match=complaint):
        network.gradients(inputs, targets)
