"""``mnist-mlp`` in the native kernels: gradients of the float64 judge, the same bits, any batch."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from epochmark import native
from epochmark.engines import Settings
from epochmark.engines.native import NativeEngine
from epochmark.workloads import WORKLOADS
from epochmark.workloads._proof import parity, replay_data
from epochmark.workloads._proof import reference as ref
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.spec import SGD

from .test_native_gradients import assert_close, random_batch
from .test_native_training import Mnist

MNIST_MLP = WORKLOADS["mnist-mlp"]
CLEAR_CUT = {1: 33, 7: 29, 32: 12, 61: 32, 64: 37, 100: 21}
"""Sizes of batches (the workload's, half of it, and some that fill no vector, tile or panel), and
for each a seed whose batch has no ReLU so close to zero (2e-6) that rounding decides."""
INSTRUCTION_SETS = native.instruction_sets()


def new_network(batch: int, threads: int, instruction_set: str) -> native.Network:
    network = native.Network(MNIST_MLP, batch, threads, instruction_set)
    network.set_weights(draw_weights(MNIST_MLP, seed=3, bias_range=0.1))
    return network


@functools.cache
def judged(size: int) -> tuple[float, dict[str, npt.NDArray[Any]]]:
    weights = draw_weights(MNIST_MLP, seed=3, bias_range=0.1)
    return ref.loss_and_gradients(MNIST_MLP, weights, *random_batch(size, CLEAR_CUT[size]))


def train(network: native.Network, sizes: tuple[int, ...]) -> list[float]:
    """Losses of steps with batches of these sizes."""
    images, labels = random_batch(100)
    orders = [np.random.RandomState(size).permutation(100)[:size] for size in sizes]
    steps = [network.train_step(images, labels, order.astype(np.uint32)) for order in orders]
    return [step.loss_sum for step in steps]


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("size", CLEAR_CUT)
def test_gradients_are_those_of_the_float64_judge(instruction_set: str, size: int) -> None:
    loss, expected = judged(size)
    network = new_network(size, 2, instruction_set)
    result, gradients = network.gradients(*random_batch(size, CLEAR_CUT[size]))
    assert network.instruction_set == instruction_set
    assert result.loss_sum / size == pytest.approx(loss, rel=1e-6)
    assert_close(gradients, expected)


@pytest.mark.parametrize("threads", [1, 2, 3, 5, 32, 33, native.MAX_THREADS])
def test_every_number_of_threads_gives_these_gradients(threads: int) -> None:
    _, expected = judged(7)
    _, gradients = new_network(7, threads, "").gradients(*random_batch(7, CLEAR_CUT[7]))
    assert_close(gradients, expected)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_a_smaller_batch_after_a_larger_one(instruction_set: str) -> None:
    """Nothing of the larger batch is left in it."""
    _, expected = judged(7)
    network = new_network(100, 2, instruction_set)
    network.gradients(*random_batch(100))
    _, gradients = network.gradients(*random_batch(7, CLEAR_CUT[7]))
    assert_close(gradients, expected)


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_step_is_adam_by_the_gradients(instruction_set: str, size: int) -> None:
    network = new_network(size, 2, instruction_set)
    before = network.get_weights()
    _, gradients = network.gradients(*random_batch(size))
    network.train_step(*random_batch(size), np.arange(size, dtype=np.uint32))
    first, second, steps = network.get_moments()
    adam = MNIST_MLP.optimizer
    assert steps == 1
    for name, gradient in gradients.items():
        np.testing.assert_allclose(first[name], (1 - adam.beta_1) * gradient, rtol=1e-5)
        np.testing.assert_allclose(second[name], (1 - adam.beta_2) * gradient**2, rtol=1e-5)
        rate = adam.learning_rate * np.sqrt(1 - adam.beta_2) / (1 - adam.beta_1)
        moved = rate * first[name] / (np.sqrt(second[name]) + adam.epsilon)
        np.testing.assert_allclose(network.get_weights()[name], before[name] - moved, atol=1e-7)


@pytest.mark.parametrize("threads", [1, 2, 3, 33])
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_the_same_call_gives_the_same_bits(instruction_set: str, threads: int) -> None:
    trained = []
    for _ in range(2):
        network = new_network(64, threads, instruction_set)
        losses = train(network, (64, 32, 7))
        trained.append((losses, network.get_weights(), *network.get_moments()[:2]))
    assert trained[0][0] == trained[1][0]
    for arrays, others in zip(trained[0][1:], trained[1][1:], strict=True):
        for name, array in arrays.items():
            assert np.array_equal(array, others[name]), name


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_both_replays_stay_with_the_golden_losses(
    mnist: Mnist, instruction_set: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPOCHMARK_NATIVE_ISA", instruction_set)
    engine = NativeEngine()
    settings = Settings(
        MNIST_MLP, "cpu", "float32", "stock", seed=1, epochs=1, batch_size=64, threads=threads
    )
    engine.open(settings)
    weights = replay_data.replay_weights(MNIST_MLP)
    batches = replay_data.replay_batches(MNIST_MLP, *mnist[:2])
    losses = engine.replay(weights, batches)
    golden = replay_data.golden_losses(MNIST_MLP, "epsilon_hat")
    assert parity.judge(losses, golden, parity.replay_tolerances(MNIST_MLP)).precision == "float32"
    by_sgd = engine.replay(weights, batches[:3], SGD(0.1))
    right, _ = ref.train(MNIST_MLP, weights, batches[:3], "epsilon_hat", optimizer=SGD(0.1))
    assert by_sgd == pytest.approx(right, rel=1e-6)


def test_evaluating_changes_nothing_and_counts_right_answers() -> None:
    network = new_network(100, 2, "")
    images, labels = random_batch(100)
    weights = draw_weights(MNIST_MLP, seed=3, bias_range=0.1)
    logits = ref.compute_logits(MNIST_MLP, weights, ref.prepare(MNIST_MLP, images))
    result = network.evaluate_step(images, labels, np.arange(100, dtype=np.uint32))
    assert result.correct == int((logits.argmax(axis=1) == labels).sum())
    assert result == network.gradients(images, labels)[0]
    for name, array in network.get_weights().items():
        assert np.array_equal(array, weights[name])


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_a_dead_relu_passes_no_gradient(instruction_set: str) -> None:
    weights = draw_weights(MNIST_MLP, seed=3)
    for name in ("dense_2.kernel", "dense_2.bias"):
        weights[name][:] = 0.0
    network = native.Network(MNIST_MLP, 8, 2, instruction_set)
    network.set_weights(weights)
    _, gradients = network.gradients(*random_batch(8))
    for name in ("dense_1.kernel", "dense_1.bias", "dense_2.kernel", "dense_2.bias"):
        assert not gradients[name].any()
    assert gradients["dense_3.bias"].any()


@pytest.mark.parametrize("instruction_set", INSTRUCTION_SETS)
def test_not_a_number_is_not_swallowed_by_relu(instruction_set: str) -> None:
    weights = draw_weights(MNIST_MLP, seed=3)
    weights["dense_1.bias"][100] = np.nan
    network = native.Network(MNIST_MLP, 8, 2, instruction_set)
    network.set_weights(weights)
    result, _ = network.gradients(*random_batch(8))
    assert np.isnan(result.loss_sum)


def test_what_is_no_batch_is_refused() -> None:
    images, labels = random_batch(8)
    network = new_network(8, 1, "")
    with pytest.raises(ValueError, match="contiguous uint8"):
        network.train_step(images.astype(np.uint32), labels, np.arange(8, dtype=np.uint32))
    with pytest.raises(ValueError, match="0 to 9, got 10"):
        network.gradients(images, np.full(8, 10, np.uint8))
    with pytest.raises(ValueError, match="1 to 8 images, got 9"):
        network.train_step(images, labels, np.zeros(9, np.uint32))
    with pytest.raises(ValueError, match="weights must be"):
        network.set_weights(draw_weights(WORKLOADS["mnist-cnn"], seed=0))
