"""Every kernel's gradient against the float64 judge, on every instruction set this machine has."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from epochmark import native
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._proof import reference as ref
from epochmark.workloads.initial_weights import draw_weights

TOLERANCE = 2e-5
"""Of the largest entry of each gradient; float32 with minimal filtering shows about 4e-6."""


CLEAR_CUT = {1: 14, 7: 16}
"""By batch size, a seed whose batch has no maximum and no ReLU so close to a tie (8e-7) that
rounding decides where a gradient goes; a larger batch always has some."""


def random_batch(size: int, seed: int = 0) -> tuple[native.Samples, native.Samples]:
    """Blocks of ink on a white ground, so that there are flat regions as in MNIST."""
    random = np.random.RandomState(seed)
    images = random.randint(0, 256, (size, 28, 28)).astype(np.uint8)
    images[random.rand(size, 7, 7).repeat(4, axis=1).repeat(4, axis=2) < 0.6] = 0
    return images, random.randint(0, 10, size).astype(np.uint8)


def new_network(batch: int, threads: int, instruction_set: str) -> native.Network:
    network = native.Network(MNIST_CNN, batch, threads, instruction_set)
    network.set_weights(draw_weights(MNIST_CNN, seed=3, bias_range=0.1))
    return network


@functools.cache
def judged(size: int) -> tuple[float, dict[str, npt.NDArray[Any]]]:
    weights = draw_weights(MNIST_CNN, seed=3, bias_range=0.1)
    return ref.loss_and_gradients(MNIST_CNN, weights, *random_batch(size, CLEAR_CUT[size]))


def assert_close(
    gradients: Mapping[str, npt.NDArray[Any]], expected: Mapping[str, npt.NDArray[Any]]
) -> None:
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        error = np.abs(gradient - expected[name]).max() / np.abs(expected[name]).max()
        assert error < TOLERANCE, name


@pytest.mark.parametrize("instruction_set", native.instruction_sets())
@pytest.mark.parametrize(
    ("size", "threads"), [(1, 1), (1, 3), (7, 1), (7, 2), (7, 3), (7, 16), (7, 200)]
)
def test_gradients_are_those_of_the_float64_judge(
    instruction_set: str, size: int, threads: int
) -> None:
    network = new_network(size, threads, instruction_set)
    result, gradients = network.gradients(*random_batch(size, CLEAR_CUT[size]))
    loss, expected = judged(size)
    assert network.instruction_set == instruction_set
    assert result.loss_sum / size == pytest.approx(loss, rel=1e-6)
    assert_close(gradients, expected)


@pytest.mark.parametrize("instruction_set", native.instruction_sets())
@pytest.mark.parametrize(("size", "threads"), [(96, 2), (128, 1), (130, 3), (130, 16)])
def test_a_batch_is_the_mean_of_its_parts(instruction_set: str, size: int, threads: int) -> None:
    images, labels = random_batch(size)
    result, gradients = new_network(size, threads, instruction_set).gradients(images, labels)
    in_parts = new_network(7, threads, instruction_set)  # the same sums, so the same ReLUs
    expected: dict[str, npt.NDArray[Any]] = {
        name: np.zeros(a.shape) for name, a in gradients.items()
    }
    loss_sum = 0.0
    for start in range(0, size, 7):
        part = slice(start, start + 7)
        part_result, part_gradients = in_parts.gradients(images[part], labels[part])
        loss_sum += part_result.loss_sum
        for name, array in part_gradients.items():
            expected[name] += array.astype(np.float64) * (len(labels[part]) / size)
    assert result.loss_sum == pytest.approx(loss_sum, rel=1e-9)
    assert_close(gradients, expected)


@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_counts_right_answers_and_leaves_the_weights_alone(instruction_set: str) -> None:
    images, labels = random_batch(130)
    weights = draw_weights(MNIST_CNN, seed=3, bias_range=0.1)
    network = native.Network(MNIST_CNN, 130, 2, instruction_set)
    network.set_weights(weights)
    logits = ref.compute_logits(MNIST_CNN, weights, ref.prepare(MNIST_CNN, images))
    everything = np.arange(130, dtype=np.uint32)
    result, _ = network.gradients(images, labels)
    assert result.correct == int((logits.argmax(axis=1) == labels).sum())
    assert result == network.evaluate_step(images, labels, everything)
    for name, array in network.get_weights().items():
        assert np.array_equal(array, weights[name])


@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_a_dead_relu_passes_no_gradient(instruction_set: str) -> None:
    weights = draw_weights(MNIST_CNN, seed=3)
    for name in ("conv_2.kernel", "conv_2.bias"):
        weights[name][:] = 0.0  # every pre-activation of conv_2 is exactly 0
    network = native.Network(MNIST_CNN, 8, 2, instruction_set)
    network.set_weights(weights)
    _, gradients = network.gradients(*random_batch(8))
    for name in ("conv_1.kernel", "conv_1.bias", "conv_2.kernel", "conv_2.bias"):
        assert not gradients[name].any()


@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_not_a_number_is_not_swallowed_by_relu(instruction_set: str) -> None:
    weights = draw_weights(MNIST_CNN, seed=3)
    weights["conv_1.kernel"][0, 0, 0, 0] = np.nan
    network = native.Network(MNIST_CNN, 8, 2, instruction_set)
    network.set_weights(weights)
    result, _ = network.gradients(*random_batch(8))
    assert np.isnan(result.loss_sum)
