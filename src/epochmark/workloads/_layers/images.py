"""Words for images in float64: convolution and pooling, NHWC.

Each backward function takes the gradient of the loss with respect to its output.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

IMAGES_AT_ONCE = 8
"""Patches of that many images are laid side by side for one matrix product: some 10 MB of the
second convolution of ``mnist-cnn``. More is slower, since it leaves the caches."""


def convolve(inputs: Array, kernel: Array, bias: Array) -> Array:
    """Valid convolution with stride 1.

    ``inputs`` (n, height, width, channels), ``kernel`` (k, k, channels, filters), ``bias``
    (filters,); returns (n, height-k+1, width-k+1, filters). A matrix product over patches.
    """
    size = kernel.shape[0]
    rows, columns = inputs.shape[1] - size + 1, inputs.shape[2] - size + 1
    outputs = np.empty((len(inputs), rows, columns, kernel.shape[3]))
    for part in _parts(len(inputs)):
        products = _patches(inputs[part], size) @ kernel.reshape(-1, kernel.shape[3])
        outputs[part] = products.reshape(-1, *outputs.shape[1:]) + bias
    return outputs


def convolve_backward(
    inputs: Array, kernel: Array, output_gradient: Array
) -> tuple[Array, Array, Array]:
    """Gradients of ``convolve`` with respect to inputs, kernel and bias, in their shapes."""
    size, filters = kernel.shape[0], kernel.shape[3]
    rows, columns = output_gradient.shape[1:3]
    flat_kernel = kernel.reshape(-1, filters)
    input_gradient, kernel_gradient = np.zeros(inputs.shape), np.zeros(flat_kernel.shape)
    for part in _parts(len(inputs)):
        gradient = output_gradient[part].reshape(-1, filters)
        kernel_gradient += _patches(inputs[part], size).T @ gradient
        patches = (gradient @ flat_kernel.T).reshape(-1, rows, columns, *kernel.shape[:3])
        for i, j in np.ndindex(size, size):
            input_gradient[part, i : i + rows, j : j + columns] += patches[:, :, :, i, j]
    return (
        input_gradient,
        kernel_gradient.reshape(kernel.shape),
        output_gradient.sum(axis=(0, 1, 2)),
    )


def _parts(count: int) -> list[slice]:
    return [slice(start, start + IMAGES_AT_ONCE) for start in range(0, count, IMAGES_AT_ONCE)]


def _patches(inputs: Array, size: int) -> Array:
    """What each output of a convolution sees, as a row: (n * rows * columns, k * k * channels)."""
    windows = np.lib.stride_tricks.sliding_window_view(inputs, (size, size), axis=(1, 2))
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(-1, size * size * inputs.shape[3])


def max_pool(inputs: Array, size: int) -> Array:
    """Maximum of each non-overlapping window; (n, h, w, c) to (n, h//size, w//size, c).

    Rows and columns that fill no whole window are left out.
    """
    height, width = (length // size * size for length in inputs.shape[1:3])
    same_place_of_every_window = (
        inputs[:, i:height:size, j:width:size] for i, j in np.ndindex(size, size)
    )
    return functools.reduce(np.maximum, same_place_of_every_window)


def max_pool_backward(inputs: Array, size: int, output_gradient: Array) -> Array:
    """Gradient of ``max_pool`` with respect to its inputs, in their shape.

    Among equal maxima the first in row-major order takes it all.
    """
    windows = _pool_windows(inputs, size)
    scattered = np.zeros(windows.shape)
    first_maximum = windows.argmax(axis=-1)[..., np.newaxis]
    np.put_along_axis(scattered, first_maximum, output_gradient[..., np.newaxis], axis=-1)
    n, rows, columns, channels = output_gradient.shape
    tiles = scattered.reshape(n, rows, columns, channels, size, size).transpose(0, 1, 4, 2, 5, 3)
    input_gradient = np.zeros(inputs.shape)
    input_gradient[:, : rows * size, : columns * size] = tiles.reshape(
        n, rows * size, columns * size, channels
    )
    return input_gradient


def _pool_windows(inputs: Array, size: int) -> Array:
    """(n, h, w, c) to (n, h//size, w//size, c, size*size), windows in row-major order."""
    n, height, width, channels = inputs.shape
    rows, columns = height // size, width // size
    tiles = inputs[:, : rows * size, : columns * size].reshape(
        n, rows, size, columns, size, channels
    )
    return tiles.transpose(0, 1, 3, 5, 2, 4).reshape(n, rows, columns, channels, size * size)
