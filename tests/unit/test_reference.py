"""The float64 judge, itself judged: by hand-computed values and by finite differences."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epochmark.workloads import MNIST_CNN, Workload
from epochmark.workloads._proof import reference as ref
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.spec import Adam, Conv2D, Dense, Flatten, Images, MaxPool2D

Array = npt.NDArray[np.float64]

TINY = replace(
    MNIST_CNN,
    input=Images((9, 8, 1), 255.0, 3),
    layers=(
        Conv2D("conv_1", filters=3, kernel_size=3, activation="relu"),
        Conv2D("conv_2", filters=2, kernel_size=2, activation="relu"),
        MaxPool2D("pool", size=2),
        Flatten("flatten"),
        Dense("dense_1", units=5, activation="relu"),
        Dense("dense_2", units=3, activation="softmax"),
    ),
)


def differences(function: Callable[[Array], float], at: Array, step: float = 1e-6) -> Array:
    """Central differences of a scalar function, element by element."""
    gradient = np.zeros(at.shape)
    for index in np.ndindex(at.shape):
        shift = np.zeros(at.shape)
        shift[index] = step
        gradient[index] = (function(at + shift) - function(at - shift)) / (2 * step)
    return gradient


def make_batch(workload: Workload, size: int, seed: int) -> tuple[npt.NDArray[Any], ...]:
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (size, *workload.input_shape[:2]), dtype=np.uint8)
    return images, rng.integers(0, workload.classes, size).astype(np.uint8)


def test_convolution_by_hand() -> None:
    inputs = np.array([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]).reshape(1, 3, 3, 1)
    kernel = np.array([[1.0, 10], [100, 1000]]).reshape(2, 2, 1, 1)
    # Cross-correlation, not flipped: 1*1 + 2*10 + 4*100 + 5*1000 = 5421, and so on.
    expected = np.array([[5421.0, 6532], [8754, 9865]]).reshape(1, 2, 2, 1)
    assert np.array_equal(ref.convolve(inputs, kernel, np.array([0.5])), expected + 0.5)


def test_convolution_sums_channels_and_keeps_filters_apart() -> None:
    inputs = np.array([2.0, 3.0]).reshape(1, 1, 1, 2)
    kernel = np.array([[1.0, 10, 100], [2, 20, 200]]).reshape(1, 1, 2, 3)
    outputs = ref.convolve(inputs, kernel, np.array([0.0, 1, 2]))
    assert outputs.reshape(3).tolist() == [8.0, 81.0, 802.0]


def test_max_pool_by_hand_leaves_out_the_odd_edge() -> None:
    inputs = np.arange(15.0).reshape(1, 3, 5, 1)
    assert ref.max_pool(inputs, 2).reshape(-1).tolist() == [6.0, 8.0]


def test_max_pool_gradient_goes_to_the_first_of_equal_maxima() -> None:
    window = np.array([[1.0, 7], [7, 7]]).reshape(1, 2, 2, 1)
    gradient = ref.max_pool_backward(window, 2, np.full((1, 1, 1, 1), 5.0))
    assert gradient.reshape(2, 2).tolist() == [[0.0, 5.0], [0.0, 0.0]]


def test_max_pool_gradient_finds_its_window_and_channel() -> None:
    inputs = np.random.default_rng(0).permutation(2 * 5 * 4 * 3).reshape(2, 5, 4, 3).astype(float)
    weights = np.random.default_rng(1).normal(size=(2, 2, 2, 3))
    expected = differences(lambda x: float((weights * ref.max_pool(x, 2)).sum()), inputs)
    np.testing.assert_allclose(ref.max_pool_backward(inputs, 2, weights), expected, atol=1e-7)


def test_relu_gradient_is_zero_at_zero() -> None:
    inputs = np.array([-1.0, 0.0, 2.0])
    assert ref.relu(inputs).tolist() == [0.0, 0.0, 2.0]
    assert ref.relu_backward(inputs, np.full(3, 4.0)).tolist() == [0.0, 0.0, 4.0]


def test_cross_entropy_by_hand() -> None:
    logits = np.log(np.array([[1.0, 2, 5], [1, 1, 2]]))
    loss, gradient = ref.softmax_cross_entropy(logits, np.array([2, 0]))
    assert loss == pytest.approx(-(math.log(5 / 8) + math.log(1 / 4)) / 2, rel=1e-14)
    expected = [[1 / 16, 2 / 16, 5 / 16 - 0.5], [1 / 8 - 0.5, 1 / 8, 2 / 8]]
    np.testing.assert_allclose(gradient, expected, rtol=1e-14)


def test_cross_entropy_survives_huge_logits() -> None:
    loss, gradient = ref.softmax_cross_entropy(np.array([[1e4, 0.0]]), np.array([1]))
    assert loss == 1e4
    assert gradient.tolist() == [[1.0, -1.0]]


@pytest.mark.parametrize(
    ("forward", "backward", "shapes"),
    [
        (ref.convolve, ref.convolve_backward, [(2, 5, 4, 2), (3, 3, 2, 3), (3,)]),
        (ref.dense, ref.dense_backward, [(3, 4), (4, 2), (2,)]),
    ],
)
def test_layer_gradients_match_finite_differences(
    forward: Callable[..., Array],
    backward: Callable[..., tuple[Array, Array, Array]],
    shapes: list[tuple[int, ...]],
) -> None:
    rng = np.random.default_rng(7)
    arguments = [rng.normal(size=shape) for shape in shapes]
    weights = rng.normal(size=forward(*arguments).shape)
    gradients = backward(*arguments[:2], weights)
    for position, gradient in enumerate(gradients):

        def weighted(at: Array, position: int = position) -> float:
            changed = [*arguments[:position], at, *arguments[position + 1 :]]
            return float((weights * forward(*changed)).sum())

        expected = differences(weighted, arguments[position])
        np.testing.assert_allclose(gradient, expected, rtol=1e-7, atol=1e-7)


@settings(deadline=None, max_examples=5)
@given(st.integers(0, 2**32))
def test_whole_network_gradients_match_finite_differences(seed: int) -> None:
    weights = {
        name: array.astype(np.float64)
        for name, array in draw_weights(TINY, seed, bias_range=0.1).items()
    }
    images, labels = make_batch(TINY, size=4, seed=seed)
    _, gradients = ref.loss_and_gradients(TINY, weights, images, labels)
    assert list(gradients) == list(weights)
    for name, gradient in gradients.items():

        def loss_at(at: Array, name: str = name) -> float:
            return ref.loss_and_gradients(TINY, {**weights, name: at}, images, labels)[0]

        # A step of 1e-6 may cross a kink of ReLU or pooling; 1e-7 hardly ever does.
        expected = differences(loss_at, weights[name], step=1e-7)
        np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-7)


def test_dense_network_loss_by_hand() -> None:
    workload = replace(
        MNIST_CNN,
        input=Images((1, 2, 1), 255.0, 2),
        layers=(Flatten("flatten"), Dense("only", units=2, activation="softmax")),
    )
    weights = {"only.kernel": np.array([[1.0, 0.0], [0.0, 2.0]]), "only.bias": np.array([0.5, 0.0])}
    images = np.array([[[255, 51]]], dtype=np.uint8)  # 1.0 and 0.2: logits 1.5 and 0.4
    loss, gradients = ref.loss_and_gradients(workload, weights, images, np.array([1], np.uint8))
    p = 1 / (1 + math.exp(0.4 - 1.5))
    assert loss == pytest.approx(-math.log(1 - p), rel=1e-14)
    np.testing.assert_allclose(gradients["only.bias"], [p, -p], rtol=1e-14)
    np.testing.assert_allclose(gradients["only.kernel"], [[p, -p], [0.2 * p, -0.2 * p]], rtol=1e-13)


def test_features_are_flattened_with_channels_fastest() -> None:
    workload = replace(
        MNIST_CNN,
        input=Images((2, 2, 1), 255.0, 2),
        layers=(
            Conv2D("split", filters=2, kernel_size=1, activation=None),
            Flatten("flatten"),
            Dense("pick", units=2, activation="softmax"),
        ),
    )
    pick = np.zeros((8, 2))
    pick[3, 0] = 1.0  # row 0, column 1, channel 1
    weights = {
        "split.kernel": np.array([1.0, 10.0]).reshape(1, 1, 1, 2),
        "split.bias": np.zeros(2),
        "pick.kernel": pick,
        "pick.bias": np.zeros(2),
    }
    images = np.array([[[0.1, 0.2], [0.3, 0.4]]])
    logits = ref.compute_logits(workload, weights, images.reshape(1, 2, 2, 1))
    assert logits.tolist() == [[2.0, 0.0]]


@pytest.mark.parametrize("form", ref.ADAM_FORMS)
def test_two_steps_of_adam_by_hand(form: str) -> None:
    # A large epsilon, so that the two forms differ in the first digits.
    constants = Adam(learning_rate=0.1, beta_1=0.9, beta_2=0.99, epsilon=0.5)
    optimizer = ref.AdamOptimizer(constants, form)
    weight, weights = 1.0, {"w": np.array([1.0])}
    moments = [(0.2, 0.04), (0.9 * 0.2 + 0.1 * -3.0, 0.99 * 0.04 + 0.01 * 9.0)]
    for t, (gradient, (m, v)) in enumerate(zip([2.0, -3.0], moments, strict=True), start=1):
        m_hat, v_hat = m / (1 - 0.9**t), v / (1 - 0.99**t)
        if form == "algorithm_1":
            weight -= 0.1 * m_hat / (math.sqrt(v_hat) + 0.5)
        else:
            weight -= 0.1 * m_hat * math.sqrt(1 - 0.99**t) / (math.sqrt(v) + 0.5)
        weights = optimizer.update(weights, {"w": np.array([gradient])})
        assert weights["w"][0] == pytest.approx(weight, rel=1e-14)


def test_first_adam_step_is_the_learning_rate() -> None:
    constants = Adam(learning_rate=0.01, beta_1=0.9, beta_2=0.999, epsilon=0.0)
    for form in ref.ADAM_FORMS:
        stepped = ref.AdamOptimizer(constants, form).update(
            {"w": np.zeros(2)}, {"w": np.array([3.0, -1e-3])}
        )
        np.testing.assert_allclose(stepped["w"], [-0.01, 0.01], rtol=1e-12)


def test_training_leaves_the_weights_it_was_given_alone() -> None:
    weights = draw_weights(TINY, 5, bias_range=0.1)
    before = {name: array.copy() for name, array in weights.items()}
    batch = make_batch(TINY, size=6, seed=5)
    losses, trained = ref.train(TINY, weights, [(batch[0], batch[1])] * 30, "epsilon_hat")
    assert losses[-1] < losses[0]
    assert all(np.array_equal(weights[name], before[name]) for name in weights)
    assert all(not np.array_equal(trained[name], before[name]) for name in trained)


def test_unknown_form_loss_and_activation_are_refused() -> None:
    with pytest.raises(ValueError, match="epsilon_hat"):
        ref.AdamOptimizer(MNIST_CNN.optimizer, "amsgrad")
    images, labels = make_batch(TINY, size=1, seed=0)
    weights = draw_weights(TINY, 0)
    with pytest.raises(ValueError, match="hinge"):
        ref.loss_and_gradients(replace(TINY, loss="hinge"), weights, images, labels)
    layers = (*TINY.layers[:-1], Dense("dense_2", units=3, activation="sigmoid"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="sigmoid"):
        ref.loss_and_gradients(replace(TINY, layers=layers), weights, images, labels)
