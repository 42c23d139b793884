"""Training with the native kernels: the float64 curve, determinism, the order of the images."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from epochmark import native
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._proof import parity, replay_data
from epochmark.workloads._proof import reference as ref
from epochmark.workloads.initial_weights import draw_weights

from .test_native_gradients import random_batch

Mnist = tuple[native.Samples, native.Samples, native.Samples, native.Samples]
Curve = tuple[list[float], dict[str, npt.NDArray[np.float64]]]


def run(
    network: native.Network, images: native.Samples, labels: native.Samples, batch: int, steps: int
) -> list[float]:
    network.set_weights(draw_weights(MNIST_CNN, seed=5, bias_range=0.1))
    order = np.arange(len(labels), dtype=np.uint32)
    batches = [order[i * batch : (i + 1) * batch] for i in range(steps)]
    return [network.train_step(images, labels, b).loss_sum / batch for b in batches]


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_replay_stays_with_the_golden_losses(
    mnist: Mnist, instruction_set: str, threads: int
) -> None:
    network = native.Network(MNIST_CNN, MNIST_CNN.batch_size, threads, instruction_set)
    network.set_weights(replay_data.replay_weights(MNIST_CNN))
    everything = np.arange(MNIST_CNN.batch_size, dtype=np.uint32)
    losses = [
        network.train_step(images, labels, everything).loss_sum / MNIST_CNN.batch_size
        for images, labels in replay_data.replay_batches(MNIST_CNN, *mnist[:2])
    ]
    golden = replay_data.golden_losses(MNIST_CNN, "epsilon_hat")
    assert parity.judge(losses, golden, parity.replay_tolerances(MNIST_CNN)).precision == "float32"


@pytest.fixture(scope="module")
def curve(mnist: Mnist) -> Curve:
    """Losses and trained weights of three steps of 32 images, in float64."""
    batches = [(mnist[0][i : i + 32], mnist[1][i : i + 32]) for i in range(0, 96, 32)]
    weights = draw_weights(MNIST_CNN, seed=5, bias_range=0.1)
    return ref.train(MNIST_CNN, weights, batches, "epsilon_hat")


@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_trained_weights_follow_float64(mnist: Mnist, curve: Curve, instruction_set: str) -> None:
    network = native.Network(MNIST_CNN, 32, 2, instruction_set)
    losses, (expected, trained) = run(network, mnist[0], mnist[1], 32, 3), curve
    weights = draw_weights(MNIST_CNN, seed=5, bias_range=0.1)
    assert losses == pytest.approx(expected, rel=1e-5)
    for name, array in network.get_weights().items():
        moved = np.sqrt(np.mean((trained[name] - weights[name]) ** 2))
        assert np.sqrt(np.mean((array - trained[name]) ** 2)) < 0.01 * moved, name


@pytest.mark.parametrize("threads", [1, 2, 3, 16])
@pytest.mark.parametrize("instruction_set", native.instruction_sets())
def test_the_same_call_gives_the_same_bits(instruction_set: str, threads: int) -> None:
    images, labels = random_batch(120)
    trained = []
    for _ in range(2):
        network = native.Network(MNIST_CNN, 40, threads, instruction_set)
        run(network, images, labels, 40, 3)
        trained.append(network.get_weights())
    for name, array in trained[0].items():
        assert np.array_equal(array, trained[1][name]), name


def test_setting_weights_resets_the_optimizer() -> None:
    images, labels = random_batch(64)
    network = native.Network(MNIST_CNN, 32, 2)
    assert run(network, images, labels, 32, 2) == run(network, images, labels, 32, 2)


def test_the_order_picks_the_images() -> None:
    images, labels = random_batch(20)
    network = native.Network(MNIST_CNN, 20, 2)
    network.set_weights(draw_weights(MNIST_CNN, seed=5, bias_range=0.1))
    picked = np.array([17, 3, 3, 11], np.uint32)
    everything = np.arange(4, dtype=np.uint32)
    expected = network.evaluate_step(images[picked], labels[picked], everything)
    assert network.evaluate_step(images, labels, picked) == expected


def test_every_epoch_has_every_image_once_in_another_order() -> None:
    orders = [native.shuffled_order(7, epoch, 60_000) for epoch in range(3)]
    for order in orders:
        assert np.array_equal(np.sort(order), np.arange(60_000))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (orders[a] == orders[b]).mean() < 0.001
    assert np.array_equal(orders[0], native.shuffled_order(7, 0, 60_000))
    assert not np.array_equal(orders[0], native.shuffled_order(8, 0, 60_000))


def test_every_order_of_three_is_equally_likely() -> None:
    counts: dict[bytes, int] = {}
    for seed in range(6000):
        order = native.shuffled_order(seed, 0, 3).tobytes()
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert all(850 < count < 1150 for count in counts.values())  # 5 standard deviations
