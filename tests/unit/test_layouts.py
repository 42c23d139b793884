"""Weights in the layouts of other frameworks, and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from epochmark.engines._shared.layouts import (
    nchw_weights,
    nhwc_weights,
    weights_from_nchw,
    weights_from_nhwc,
)
from epochmark.workloads import MNIST_CNN, Workload
from epochmark.workloads.initial_weights import draw_weights


def of_nhwc(workload: Workload, weights: Any) -> Any:
    return nhwc_weights(weights)


there_and_back = pytest.mark.parametrize(
    ("there", "back"), [(nchw_weights, weights_from_nchw), (of_nhwc, weights_from_nhwc)]
)


@there_and_back
def test_there_and_back_every_value_is_where_it_was(
    there: Callable[..., Any], back: Callable[..., Any]
) -> None:
    weights = draw_weights(MNIST_CNN, seed=3, bias_range=0.1)
    returned = back(MNIST_CNN, there(MNIST_CNN, weights))
    assert list(returned) == list(weights)
    for name, array in weights.items():
        assert returned[name].dtype == np.float32
        assert returned[name].flags.c_contiguous
        np.testing.assert_array_equal(returned[name], array, err_msg=name)


@there_and_back
def test_what_comes_back_is_a_copy(there: Callable[..., Any], back: Callable[..., Any]) -> None:
    theirs = there(MNIST_CNN, draw_weights(MNIST_CNN, seed=3, bias_range=0.1))
    returned = back(MNIST_CNN, theirs)
    before = {name: array.copy() for name, array in theirs.items()}
    for name in returned:
        returned[name] += 1
    for name, array in before.items():
        np.testing.assert_array_equal(theirs[name], array, err_msg=name)
