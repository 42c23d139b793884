"""Words for any input in float64: dense layers, activations and the loss.

Each backward function takes the gradient of the loss with respect to its output.
"""

from __future__ import annotations

import math
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

GELU_SLOPE = math.sqrt(2.0 / math.pi)
GELU_CUBE = 0.044715
"""Hendrycks and Gimpel 2016, "Gaussian Error Linear Units", the approximation by tanh."""


def dense(inputs: Array, kernel: Array, bias: Array) -> Array:
    """(..., features) times (features, units) plus (units,): (..., units)."""
    rows = inputs.reshape(-1, inputs.shape[-1])
    outputs: Array = rows @ kernel
    outputs += bias
    return outputs.reshape(*inputs.shape[:-1], len(bias))


def dense_backward(
    inputs: Array, kernel: Array, output_gradient: Array
) -> tuple[Array, Array, Array]:
    """Gradients of ``dense`` with respect to inputs, kernel and bias, in their shapes."""
    rows = inputs.reshape(-1, inputs.shape[-1])
    gradient = output_gradient.reshape(-1, output_gradient.shape[-1])
    for_inputs = (gradient @ kernel.T).reshape(inputs.shape)
    return for_inputs, rows.T @ gradient, gradient.sum(axis=0)


def relu(inputs: Array) -> Array:
    """``max(inputs, 0)``, any shape."""
    return np.maximum(inputs, 0.0)


def relu_backward(inputs: Array, output_gradient: Array) -> Array:
    """Gradient of ``relu`` with respect to its inputs; zero where the input is exactly zero."""
    return np.where(inputs > 0.0, output_gradient, 0.0)


def gelu_tanh(inputs: Array) -> Array:
    """``x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))``, any shape."""
    outputs: Array = 0.5 * inputs * (1.0 + _gelu_inner(inputs))
    return outputs


def gelu_tanh_backward(inputs: Array, output_gradient: Array) -> Array:
    """Gradient of ``gelu_tanh`` with respect to its inputs, in their shape."""
    tanh = _gelu_inner(inputs)
    inner_slope = GELU_SLOPE * (1.0 + 3.0 * GELU_CUBE * inputs**2)
    slope = 0.5 * (1.0 + tanh) + 0.5 * inputs * (1.0 - tanh**2) * inner_slope
    return output_gradient * slope


def _gelu_inner(inputs: Array) -> Array:
    """The hyperbolic tangent. NumPy squares by a product, but takes a logarithm for a cube."""
    return np.tanh(GELU_SLOPE * inputs * (1.0 + GELU_CUBE * inputs**2))


def softmax(scores: Array) -> Array:
    """Over the last axis; minus infinity has no share."""
    raised = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: Array = raised / raised.sum(axis=-1, keepdims=True)
    return shares


def log_softmax(scores: Array) -> Array:
    """Logarithm of the softmax over the last axis."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    logs: Array = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return logs


def softmax_cross_entropy(
    logits: Array,
    labels: npt.NDArray[np.integer[Any]],
    shares: Optional[Array] = None,
) -> tuple[float, Array]:
    """Mean over the batch of ``-log softmax(logits)[label]`` (nats), and its gradient.

    ``logits`` (n, classes), ``labels`` (n,) in 0..classes-1; the gradient has the logits' shape.
    ``shares`` (n,) weigh the rows, by default equally.
    """
    log_probabilities = log_softmax(logits)
    own = np.arange(len(labels)), labels.astype(np.intp)
    gradient = np.exp(log_probabilities)
    gradient[own] -= 1.0
    if shares is None:
        return float(-log_probabilities[own].mean()), gradient / len(labels)
    return float(-log_probabilities[own] @ shares), gradient * shares[:, np.newaxis]
