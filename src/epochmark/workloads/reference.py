"""The judge: the workload's training step in plain float64 NumPy, clear rather than fast.

It shares no code with any engine. Activations are NHWC, kernels as in ``workloads.spec``.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from epochmark.workloads.spec import Adam, Conv2D, Dense, Flatten, Layer, MaxPool2D, Workload

Array = npt.NDArray[np.float64]
Weights = Mapping[str, npt.NDArray[Any]]
Batch = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]

ADAM_FORMS = ("epsilon_hat", "algorithm_1")

EVALUATION_BATCH = 100
"""Images whose activations are held at one time: some 50 MB."""


# Layers. Each backward function takes the gradient of the loss with respect to its output.


IMAGES_AT_ONCE = 8
"""Patches of so many images are laid side by side for one matrix product: some 10 MB of the second
convolution of ``mnist-cnn``. More is slower, since it leaves the caches."""


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


def dense(inputs: Array, kernel: Array, bias: Array) -> Array:
    """(n, features) times (features, units) plus (units,): (n, units)."""
    outputs: Array = inputs @ kernel + bias
    return outputs


def dense_backward(
    inputs: Array, kernel: Array, output_gradient: Array
) -> tuple[Array, Array, Array]:
    """Gradients of ``dense`` with respect to inputs, kernel and bias, in their shapes."""
    return output_gradient @ kernel.T, inputs.T @ output_gradient, output_gradient.sum(axis=0)


def relu(inputs: Array) -> Array:
    """``max(inputs, 0)``, any shape."""
    return np.maximum(inputs, 0.0)


def relu_backward(inputs: Array, output_gradient: Array) -> Array:
    """Gradient of ``relu`` with respect to its inputs; zero where the input is exactly zero."""
    return np.where(inputs > 0.0, output_gradient, 0.0)


def softmax_cross_entropy(
    logits: Array,
    labels: npt.NDArray[np.integer[Any]],
    shares: Optional[Array] = None,
) -> tuple[float, Array]:
    """Mean over the batch of ``-log softmax(logits)[label]`` (nats), and its gradient.

    ``logits`` (n, classes), ``labels`` (n,) in 0..classes-1; the gradient has the logits' shape.
    ``shares`` (n,) weigh the images, by default equally.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    own = np.arange(len(labels)), labels.astype(np.intp)
    gradient = np.exp(log_probabilities)
    gradient[own] -= 1.0
    if shares is None:
        return float(-log_probabilities[own].mean()), gradient / len(labels)
    return float(-log_probabilities[own] @ shares), gradient * shares[:, np.newaxis]


# The network.


def scale_pixels(workload: Workload, images: npt.NDArray[np.uint8]) -> Array:
    """uint8 (n, height, width) or (n, *input_shape) to float64 (n, *input_shape) in 0..1."""
    scaled: Array = images.astype(np.float64) / workload.pixel_scale
    return scaled.reshape(len(images), *workload.input_shape)


def compute_logits(workload: Workload, weights: Weights, inputs: Array) -> Array:
    """Scores before the softmax, float64 (n, classes), of scaled inputs (n, *input_shape)."""
    return _run_forward(workload, weights, inputs)[-1][1]


def loss_and_gradients(
    workload: Workload,
    weights: Weights,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
    shares: Optional[Array] = None,
) -> tuple[float, dict[str, Array]]:
    """Mean loss of one batch and its gradients by parameter name, float64, in layer order.

    ``images`` uint8 (n, height, width), ``labels`` uint8 (n,), ``weights`` of any float type.
    ``shares`` (n,), which add up to 1, weigh the images: those of a batch with repetitions.
    Raises ValueError for a loss or an activation this module does not know.
    """
    if workload.loss != "sparse_categorical_crossentropy":
        raise ValueError(f"unknown loss {workload.loss!r}")
    passed = _run_forward(workload, weights, scale_pixels(workload, images))
    loss, gradient = softmax_cross_entropy(passed[-1][1], labels, shares)
    gradients: dict[str, Array] = {}
    for layer, (inputs, before_activation) in zip(reversed(workload.layers), reversed(passed)):
        if _is_rectified(layer):
            gradient = relu_backward(before_activation, gradient)
        if isinstance(layer, (Conv2D, Dense)):
            backward = convolve_backward if isinstance(layer, Conv2D) else dense_backward
            kernel = _as_float64(weights[f"{layer.name}.kernel"])
            gradient, for_kernel, for_bias = backward(inputs, kernel, gradient)
            gradients[f"{layer.name}.bias"] = for_bias
            gradients[f"{layer.name}.kernel"] = for_kernel
        elif isinstance(layer, MaxPool2D):
            gradient = max_pool_backward(inputs, layer.size, gradient)
        else:
            gradient = gradient.reshape(inputs.shape)
    return loss, dict(reversed(gradients.items()))


def evaluate(
    workload: Workload,
    weights: Weights,
    images: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.uint8],
) -> tuple[float, float]:
    """Mean loss and accuracy on a test set; arguments as ``loss_and_gradients``."""
    loss_sum, correct = 0.0, 0
    for start in range(0, len(labels), EVALUATION_BATCH):
        part = slice(start, start + EVALUATION_BATCH)
        logits = compute_logits(workload, weights, scale_pixels(workload, images[part]))
        loss_sum += softmax_cross_entropy(logits, labels[part])[0] * len(labels[part])
        correct += int((logits.argmax(axis=1) == labels[part]).sum())
    return loss_sum / len(labels), correct / len(labels)


def _run_forward(workload: Workload, weights: Weights, inputs: Array) -> list[tuple[Array, Array]]:
    """Input and output before activation of every layer, in order."""
    _check_activations(workload)
    passed: list[tuple[Array, Array]] = []
    for layer in workload.layers:
        outputs = _apply(layer, weights, inputs)
        passed.append((inputs, outputs))
        inputs = relu(outputs) if _is_rectified(layer) else outputs
    return passed


def _apply(layer: Layer, weights: Weights, inputs: Array) -> Array:
    if isinstance(layer, Flatten):
        return inputs.reshape(len(inputs), -1)
    if isinstance(layer, MaxPool2D):
        return max_pool(inputs, layer.size)
    forward = convolve if isinstance(layer, Conv2D) else dense
    kernel, bias = (_as_float64(weights[f"{layer.name}.{part}"]) for part in ("kernel", "bias"))
    return forward(inputs, kernel, bias)


def _is_rectified(layer: Layer) -> bool:
    return isinstance(layer, (Conv2D, Dense)) and layer.activation == "relu"


def _check_activations(workload: Workload) -> None:
    """ReLU or none inside, softmax at the end, where it is one with the loss."""
    *inner, last = [x.activation for x in workload.layers if isinstance(x, (Conv2D, Dense))]
    if last != "softmax" or not set(inner) <= {"relu", None}:
        raise ValueError(f"cannot compute activations {[*inner, last]}")


def _as_float64(array: npt.NDArray[Any]) -> Array:
    return array.astype(np.float64)


# The optimizer.


class AdamOptimizer:
    """Adam (Kingma and Ba, 2015) in one of its two published forms, both with bias correction.

    ``algorithm_1``: their Algorithm 1, epsilon added to the corrected ``sqrt(v_hat)`` (PyTorch,
    optax, tinygrad, MLX). ``epsilon_hat``: the reordering at the end of their section 2, epsilon
    added to the uncorrected ``sqrt(v)`` (Keras). Raises ValueError for any other form.

    It starts after ``steps`` steps with these moments, by default before the first.
    """

    def __init__(
        self,
        constants: Adam,
        form: str,
        first: Optional[Weights] = None,
        second: Optional[Weights] = None,
        steps: int = 0,
    ) -> None:
        if form not in ADAM_FORMS:
            raise ValueError(f"Adam's form is one of {', '.join(ADAM_FORMS)}, not {form!r}")
        self._constants = constants
        self._form = form
        self._steps = steps
        self._first = {name: _as_float64(array) for name, array in (first or {}).items()}
        self._second = {name: _as_float64(array) for name, array in (second or {}).items()}

    def update(self, weights: Weights, gradients: Mapping[str, Array]) -> dict[str, Array]:
        """Weights after the next step, float64; neither argument is changed."""
        self._steps += 1
        return {
            name: _as_float64(array) - self._step(name, gradients[name])
            for name, array in weights.items()
        }

    def _step(self, name: str, gradient: Array) -> Array:
        adam, t = self._constants, self._steps
        first = adam.beta_1 * self._first.get(name, 0.0) + (1 - adam.beta_1) * gradient
        second = adam.beta_2 * self._second.get(name, 0.0) + (1 - adam.beta_2) * gradient**2
        self._first[name], self._second[name] = first, second
        first_correction, second_correction = 1 - adam.beta_1**t, 1 - adam.beta_2**t
        if self._form == "algorithm_1":
            root = np.sqrt(second / second_correction)
            return adam.learning_rate * (first / first_correction) / (root + adam.epsilon)
        rate = adam.learning_rate * np.sqrt(second_correction) / first_correction
        step: Array = rate * first / (np.sqrt(second) + adam.epsilon)
        return step


def train(
    workload: Workload, weights: Weights, batches: Iterable[Batch], form: str
) -> tuple[list[float], dict[str, Array]]:
    """Train on these batches in this order with the workload's Adam in ``form``.

    Returns the mean loss of each batch before its update, and the trained weights (float64).
    """
    optimizer = AdamOptimizer(workload.optimizer, form)
    trained: Weights = weights
    losses: list[float] = []
    for images, labels in batches:
        loss, gradients = loss_and_gradients(workload, trained, images, labels)
        losses.append(loss)
        trained = optimizer.update(trained, gradients)
    return losses, {name: _as_float64(array) for name, array in trained.items()}
