"""Shapes, parameter counts and FLOPs of a workload against values worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from epochmark.workloads import MNIST_CNN
from epochmark.workloads.flops import count_flops
from epochmark.workloads.shapes import layer_shapes, parameter_count, parameter_shapes
from epochmark.workloads.spec import Conv2D, Dense, Flatten, Images, MaxPool2D


def test_mnist_cnn_activations_have_the_published_shapes() -> None:
    assert [entry.output for entry in layer_shapes(MNIST_CNN)] == [
        (26, 26, 32),
        (24, 24, 64),
        (12, 12, 64),
        (9216,),
        (128,),
        (10,),
    ]


def test_mnist_cnn_parameters() -> None:
    assert parameter_shapes(MNIST_CNN) == {
        "conv_1.kernel": (3, 3, 1, 32),
        "conv_1.bias": (32,),
        "conv_2.kernel": (3, 3, 32, 64),
        "conv_2.bias": (64,),
        "dense_1.kernel": (9216, 128),
        "dense_1.bias": (128,),
        "dense_2.kernel": (128, 10),
        "dense_2.bias": (10,),
    }
    # 3*3*1*32+32 = 320; 3*3*32*64+64 = 18,496; 9216*128+128 = 1,179,776; 128*10+10 = 1,290
    assert parameter_count(MNIST_CNN) == 320 + 18_496 + 1_179_776 + 1_290 == 1_199_882


def test_mnist_cnn_flops_per_layer() -> None:
    flops = count_flops(MNIST_CNN)
    forward = {layer.name: layer.forward for layer in flops.layers}
    assert forward == {
        "conv_1": 2 * 26 * 26 * 3 * 3 * 1 * 32,  # 389,376
        "conv_2": 2 * 24 * 24 * 3 * 3 * 32 * 64,  # 21,233,664
        "dense_1": 2 * 9216 * 128,  # 2,359,296
        "dense_2": 2 * 128 * 10,  # 2,560
    }
    assert [layer.input_gradient > 0 for layer in flops.layers] == [False, True, True, True]
    assert all(layer.kernel_gradient == layer.forward for layer in flops.layers)


def test_mnist_cnn_flops_in_all() -> None:
    flops = count_flops(MNIST_CNN)
    assert flops.forward == 389_376 + 21_233_664 + 2_359_296 + 2_560 == 23_984_896
    assert flops.training == 3 * 23_984_896 - 389_376 == 71_565_312
    assert flops.training_convolutions == 2 * 389_376 + 3 * 21_233_664 == 64_479_744
    assert flops.training_rest == 3 * (2_359_296 + 2_560) == 7_085_568
    ten_epochs = flops.training * MNIST_CNN.train_samples * MNIST_CNN.epochs
    assert round(ten_epochs / 1e12, 1) == 42.9  # TFLOP, as quoted in the issue and the docs


def test_pooling_leaves_out_what_fills_no_window() -> None:
    workload = replace(
        MNIST_CNN, input=Images((7, 5, 2), 255.0, 10), layers=(MaxPool2D("pool", size=2),)
    )
    assert layer_shapes(workload)[0].output == (3, 2, 2)
    assert parameter_shapes(workload) == {}
    assert count_flops(workload).training == 0


@pytest.mark.parametrize(
    ("layers", "culprit"),
    [
        ((Dense("early", units=3),), "early"),
        ((Conv2D("wide", filters=1, kernel_size=29),), "wide"),
        ((MaxPool2D("huge", size=30),), "huge"),
        ((Flatten("flat"), Conv2D("late", filters=1, kernel_size=1)), "late"),
    ],
)
def test_a_layer_that_does_not_fit_is_named(
    layers: tuple[Conv2D | MaxPool2D | Flatten | Dense, ...], culprit: str
) -> None:
    with pytest.raises(ValueError, match=culprit):
        layer_shapes(replace(MNIST_CNN, layers=layers))
