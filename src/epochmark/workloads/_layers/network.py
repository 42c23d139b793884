"""From words to float64 functions: each layer forwards, with what takes a gradient back through it.

``forward`` returns the outputs and a function of their gradient, which adds the gradients of
parameters to a dictionary by name and returns that of the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Dict, Tuple

import numpy as np
import numpy.typing as npt

from epochmark.workloads._layers import images, scores, sequences
from epochmark.workloads.spec import (
    Activation,
    CausalAttention,
    Conv2D,
    Dense,
    Embed,
    Flatten,
    Layer,
    LayerNorm,
    MaxPool2D,
    Positions,
    Residual,
    TiedHead,
)

Array = npt.NDArray[np.float64]
Weights = Mapping[str, npt.NDArray[Any]]
Gradients = Dict[str, Array]
Backward = Callable[[Array, Gradients], Array]
Passed = Tuple[Array, Backward]

ACTIVATIONS = {
    "relu": (scores.relu, scores.relu_backward),
    "gelu_tanh": (scores.gelu_tanh, scores.gelu_tanh_backward),
}
"""Inside of the network; ``softmax`` at its end is one with the loss."""


def forward_all(layers: tuple[Layer, ...], weights: Weights, inputs: Any, prefix: str) -> Passed:
    """Layers one after the other, their parameters under ``prefix``."""
    backwards = []
    for layer in layers:
        inputs, backward = forward(layer, weights, inputs, f"{prefix}{layer.name}")
        backwards.append(backward)

    def back(gradient: Array, gradients: Gradients) -> Array:
        for backward in reversed(backwards):
            gradient = backward(gradient, gradients)
        return gradient

    return inputs, back


def forward(layer: Layer, weights: Weights, inputs: Any, path: str) -> Passed:
    """One layer, whose parameters are named ``path.``."""
    return _FORWARD[type(layer)](layer, weights, inputs, path)


def as_float64(array: npt.NDArray[Any]) -> Array:
    """Weights of whatever type."""
    return array.astype(np.float64)


def _add(gradients: Gradients, name: str, gradient: Array) -> None:
    """A table that is used twice has the sum of both."""
    gradients[name] = gradients[name] + gradient if name in gradients else gradient


def _residual(layer: Residual, weights: Weights, inputs: Array, path: str) -> Passed:
    added, backward = forward_all(layer.layers, weights, inputs, f"{path}.")

    def back(gradient: Array, gradients: Gradients) -> Array:
        return gradient + backward(gradient, gradients)

    return inputs + added, back


def _with_kernel(layer: Any, weights: Weights, inputs: Array, path: str) -> Passed:
    is_convolution = isinstance(layer, Conv2D)
    kernel, bias = (as_float64(weights[f"{path}.{part}"]) for part in ("kernel", "bias"))
    apply = images.convolve if is_convolution else scores.dense
    apply_backward = images.convolve_backward if is_convolution else scores.dense_backward
    before = apply(inputs, kernel, bias)
    outputs, activation_backward = _activate(layer.activation, before)

    def back(gradient: Array, gradients: Gradients) -> Array:
        gradient = activation_backward(gradient, gradients)
        for_inputs, for_kernel, for_bias = apply_backward(inputs, kernel, gradient)
        _add(gradients, f"{path}.kernel", for_kernel)
        _add(gradients, f"{path}.bias", for_bias)
        return for_inputs

    return outputs, back


def _activate(activation: Activation, before: Array) -> Passed:
    if activation is None or activation == "softmax":
        return before, lambda gradient, gradients: gradient
    apply, apply_backward = ACTIVATIONS[activation]
    return apply(before), lambda gradient, gradients: apply_backward(before, gradient)


def _attention(layer: CausalAttention, weights: Weights, inputs: Array, path: str) -> Passed:
    names = ("query", "key", "value", "output")
    kernels = {part: as_float64(weights[f"{path}.{part}.kernel"]) for part in names}
    biases = {part: as_float64(weights[f"{path}.{part}.bias"]) for part in names}
    parts = sequences.Heads(*(
        sequences.split_heads(scores.dense(inputs, kernels[part], biases[part]), layer.heads)
        for part in names[:3]
    ))  # fmt: skip
    joined = sequences.join_heads(sequences.attend(parts))

    def back(gradient: Array, gradients: Gradients) -> Array:
        gradient = one(gradients, "output", joined, gradient)
        into = sequences.attend_backward(parts, sequences.split_heads(gradient, layer.heads))
        by_part = zip(names, map(sequences.join_heads, into))
        total = sum(one(gradients, part, inputs, gradient) for part, gradient in by_part)
        return np.asarray(total)

    def one(gradients: Gradients, part: str, entered: Array, gradient: Array) -> Array:
        through = scores.dense_backward(entered, kernels[part], gradient)
        _add(gradients, f"{path}.{part}.kernel", through[1])
        _add(gradients, f"{path}.{part}.bias", through[2])
        return through[0]

    return scores.dense(joined, kernels["output"], biases["output"]), back


def _layer_norm(layer: LayerNorm, weights: Weights, inputs: Array, path: str) -> Passed:
    scale, bias = (as_float64(weights[f"{path}.{part}"]) for part in ("scale", "bias"))

    def back(gradient: Array, gradients: Gradients) -> Array:
        through = sequences.layer_norm_backward(inputs, scale, layer.epsilon, gradient)
        _add(gradients, f"{path}.scale", through[1])
        _add(gradients, f"{path}.bias", through[2])
        return through[0]

    return sequences.layer_norm(inputs, scale, bias, layer.epsilon), back


def _tied_head(layer: TiedHead, weights: Weights, inputs: Array, path: str) -> Passed:
    name = f"{layer.table}.table"
    table = as_float64(weights[name])
    none = np.zeros(len(table))

    def back(gradient: Array, gradients: Gradients) -> Array:
        for_inputs, for_transposed, _ = scores.dense_backward(inputs, table.T, gradient)
        _add(gradients, name, for_transposed.T)
        return for_inputs

    return scores.dense(inputs, table.T, none), back


def _embed(layer: Embed, weights: Weights, symbols: Any, path: str) -> Passed:
    table = as_float64(weights[f"{path}.table"])

    def back(gradient: Array, gradients: Gradients) -> Array:
        _add(gradients, f"{path}.table", sequences.embed_backward(symbols, table, gradient))
        return gradient  # nothing comes before

    return sequences.embed(symbols, table), back


def _positions(layer: Positions, weights: Weights, inputs: Array, path: str) -> Passed:
    """Sequences may be shorter than the table."""
    table = as_float64(weights[f"{path}.table"])
    context = inputs.shape[1]

    def back(gradient: Array, gradients: Gradients) -> Array:
        for_table = np.zeros(table.shape)
        for_table[:context] = gradient.sum(axis=0)
        _add(gradients, f"{path}.table", for_table)
        return gradient

    return inputs + table[:context], back


def _max_pool(layer: MaxPool2D, weights: Weights, inputs: Array, path: str) -> Passed:
    def back(gradient: Array, gradients: Gradients) -> Array:
        return images.max_pool_backward(inputs, layer.size, gradient)

    return images.max_pool(inputs, layer.size), back


def _flatten(layer: Flatten, weights: Weights, inputs: Array, path: str) -> Passed:
    def back(gradient: Array, gradients: Gradients) -> Array:
        return gradient.reshape(inputs.shape)

    return inputs.reshape(len(inputs), -1), back


_FORWARD: Dict[type, Callable[[Any, Weights, Any, str], Passed]] = {
    Conv2D: _with_kernel,
    Dense: _with_kernel,
    MaxPool2D: _max_pool,
    Flatten: _flatten,
    Embed: _embed,
    Positions: _positions,
    LayerNorm: _layer_norm,
    CausalAttention: _attention,
    Residual: _residual,
    TiedHead: _tied_head,
}
"""Each word's own."""
