"""TensorFlow's own operations, eagerly, one by one."""

from __future__ import annotations

from typing import Callable

import tensorflow as tf

from epochmark.engines._shared.contract import Operations


def operations(synchronise: Callable[[], None]) -> Operations:
    """TensorFlow's operations on the one device that is visible."""
    return Operations(
        put=tf.constant,
        get=lambda tensor: tensor.numpy(),
        multiply=tf.linalg.matmul,
        convolve=lambda images, kernel: tf.nn.conv2d(images, kernel, 1, "VALID"),
        add=tf.add,
        wait=lambda result: synchronise(),
    )
