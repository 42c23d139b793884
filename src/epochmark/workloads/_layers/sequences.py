"""Words for sequences in float64: embedding, normalisation and attention.

Activations are (n, context, units). Each backward function takes the gradient of the loss with
respect to its output.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from epochmark.workloads._layers.scores import softmax

Array = npt.NDArray[np.float64]
Symbols = npt.NDArray[np.integer[Any]]


def embed(symbols: Symbols, table: Array) -> Array:
    """Rows of ``table`` (vocabulary, units) for symbols (n, context)."""
    rows: Array = table[symbols]
    return rows


def embed_backward(symbols: Symbols, table: Array, output_gradient: Array) -> Array:
    """Gradient of ``embed`` with respect to the table: that of all places of a symbol, summed."""
    gradient = np.zeros(table.shape)
    np.add.at(gradient, symbols.reshape(-1), output_gradient.reshape(-1, table.shape[1]))
    return gradient


def layer_norm(inputs: Array, scale: Array, bias: Array, epsilon: float) -> Array:
    """``(x - mean) / sqrt(variance + epsilon) * scale + bias`` over the last axis."""
    outputs: Array = _normalised(inputs, epsilon)[0] * scale + bias
    return outputs


def layer_norm_backward(
    inputs: Array, scale: Array, epsilon: float, output_gradient: Array
) -> tuple[Array, Array, Array]:
    """Gradients of ``layer_norm`` with respect to inputs, scale and bias, in their shapes."""
    normalised, deviation = _normalised(inputs, epsilon)
    places = tuple(range(inputs.ndim - 1))
    gradient = output_gradient * scale
    along = (gradient * normalised).mean(axis=-1, keepdims=True)
    for_inputs = (gradient - gradient.mean(axis=-1, keepdims=True) - normalised * along) / deviation
    for_scale = (output_gradient * normalised).sum(axis=places)
    return for_inputs, for_scale, output_gradient.sum(axis=places)


def _normalised(inputs: Array, epsilon: float) -> tuple[Array, Array]:
    """Values without mean and with unit variance, and the deviation they were divided by."""
    centred = inputs - inputs.mean(axis=-1, keepdims=True)
    deviation = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
    return centred / deviation, deviation


class Heads(NamedTuple):
    """Inputs of attention, each (n, heads, context, size)."""

    query: Array
    key: Array
    value: Array


def split_heads(inputs: Array, heads: int) -> Array:
    """(n, context, units) to (n, heads, context, size), a head's units side by side."""
    n, context, units = inputs.shape
    return inputs.reshape(n, context, heads, units // heads).transpose(0, 2, 1, 3)


def join_heads(inputs: Array) -> Array:
    """What ``split_heads`` split."""
    n, heads, context, size = inputs.shape
    return inputs.transpose(0, 2, 1, 3).reshape(n, context, heads * size)


def causal_weights(parts: Heads) -> Array:
    """How much each position takes of each at or before it: (n, heads, context, context)."""
    context, size = parts.query.shape[-2:]
    scores = parts.query @ parts.key.swapaxes(-1, -2) / math.sqrt(size)
    later = np.triu(np.ones((context, context), bool), k=1)
    return softmax(np.where(later, -np.inf, scores))


def attend(parts: Heads) -> Array:
    """What each head gives at each position: (n, heads, context, size)."""
    given: Array = causal_weights(parts) @ parts.value
    return given


def attend_backward(parts: Heads, output_gradient: Array) -> Heads:
    """Gradients of ``attend`` with respect to query, key and value, in their shapes."""
    weights = causal_weights(parts)
    for_weights = output_gradient @ parts.value.swapaxes(-1, -2)
    along = (for_weights * weights).sum(axis=-1, keepdims=True)
    for_scores = weights * (for_weights - along) / math.sqrt(parts.query.shape[-1])
    return Heads(
        query=for_scores @ parts.key,
        key=for_scores.swapaxes(-1, -2) @ parts.query,
        value=weights.swapaxes(-1, -2) @ output_gradient,
    )
