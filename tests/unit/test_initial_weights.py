"""Initial weights: reproducible to the byte, in the right shapes and ranges."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from epochmark.workloads import MNIST_CNN
from epochmark.workloads.initial_weights import draw_weights, glorot_limit
from epochmark.workloads.shapes import parameter_shapes

# Worked out by hand: fans are channels times receptive field.
LIMITS = {
    "conv_1.kernel": math.sqrt(6 / (9 * 1 + 9 * 32)),
    "conv_2.kernel": math.sqrt(6 / (9 * 32 + 9 * 64)),
    "dense_1.kernel": math.sqrt(6 / (9216 + 128)),
    "dense_2.kernel": math.sqrt(6 / (128 + 10)),
}


def test_names_shapes_and_types_follow_the_layers() -> None:
    weights = draw_weights(MNIST_CNN, seed=1)
    assert list(weights) == list(parameter_shapes(MNIST_CNN))
    assert {name: array.shape for name, array in weights.items()} == parameter_shapes(MNIST_CNN)
    assert {array.dtype for array in weights.values()} == {np.dtype(np.float32)}


def test_kernels_fill_the_glorot_range_evenly() -> None:
    weights = draw_weights(MNIST_CNN, seed=2)
    for name, limit in LIMITS.items():
        kernel = weights[name].astype(np.float64)
        assert glorot_limit(kernel.shape) == pytest.approx(limit, rel=1e-15)
        assert np.abs(kernel).max() <= np.float32(limit)
        assert np.abs(kernel).max() > 0.95 * limit
        # A uniform distribution's mean and variance; five standard errors of each estimate.
        assert abs(kernel.mean()) < 5 * limit / math.sqrt(3 * kernel.size)
        spread = kernel.var() / (limit**2 / 3) - 1
        assert abs(spread) < 5 * math.sqrt(0.8 / kernel.size)


def test_biases_are_zero_unless_a_range_is_given() -> None:
    for name, array in draw_weights(MNIST_CNN, seed=3).items():
        if name.endswith(".bias"):
            assert array.tobytes() == bytes(array.nbytes)  # not even a negative zero


def test_a_bias_range_changes_biases_only() -> None:
    plain = draw_weights(MNIST_CNN, seed=4)
    biased = draw_weights(MNIST_CNN, seed=4, bias_range=0.1)
    for name, array in biased.items():
        if name.endswith(".kernel"):
            assert np.array_equal(array, plain[name])
        else:
            assert 0.0 < np.abs(array).max() <= np.float32(0.1)


def test_the_bytes_of_a_seed_never_change() -> None:
    # Guards every published figure: the timed run starts from these bytes.
    digest = hashlib.sha256(b"".join(a.tobytes() for a in draw_weights(MNIST_CNN, 0).values()))
    assert digest.hexdigest() == "6a6daea4fb1d1fcb2299d372f689561d8ea5622f902a4de12699f9c807459ced"


def test_first_value_by_hand() -> None:
    # PCG64's raw stream is guaranteed by NumPy; the rest is arithmetic.
    (raw,) = np.random.PCG64(0).random_raw(1)
    expected = LIMITS["conv_1.kernel"] * ((int(raw) >> 11) / 2**52 - 1)
    assert draw_weights(MNIST_CNN, 0)["conv_1.kernel"][0, 0, 0, 0] == np.float32(expected)


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_seeds_decide(first: int, second: int) -> None:
    name = "dense_2.kernel"
    equal = np.array_equal(
        draw_weights(MNIST_CNN, first)[name], draw_weights(MNIST_CNN, second)[name]
    )
    assert equal == (first == second)


@pytest.mark.parametrize("bias_range", [-0.1, math.inf, math.nan])
def test_an_impossible_bias_range_is_refused(bias_range: float) -> None:
    with pytest.raises(ValueError, match="bias_range"):
        draw_weights(MNIST_CNN, 0, bias_range)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ValueError, match="seed"):
        draw_weights(MNIST_CNN, -1)
