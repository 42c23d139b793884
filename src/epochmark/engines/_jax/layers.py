"""The words of a workload as functions of JAX arrays, and the network made of them.

Parameters are a dictionary of arrays by our names; images are NHWC.
"""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Mapping, Sequence, Type

import jax
import jax.numpy as jnp
from jax import lax

from epochmark.workloads import Workload
from epochmark.workloads.spec import (
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

Parameters = Dict[str, jax.Array]
Apply = Callable[[Any, Parameters, str, jax.Array], jax.Array]
"""Of a word, all parameters, the dotted path of this layer in their names, and its input."""


def convolve(word: Conv2D, parameters: Parameters, path: str, values: jax.Array) -> jax.Array:
    """``(n, h, w, i)`` to ``(n, h - k + 1, w - k + 1, o)``."""
    convolved = lax.conv_general_dilated(
        values,
        parameters[f"{path}.kernel"],
        window_strides=(1, 1),
        padding="VALID",
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )
    return activated(word, parameters[f"{path}.bias"] + convolved)


def convolve_by_matmul(
    word: Conv2D, parameters: Parameters, path: str, values: jax.Array
) -> jax.Array:
    """The same as one matrix product (im2col): on a CPU XLA's convolutions, above all their
    gradients, take about twice as long as its matrix products."""
    kernel = parameters[f"{path}.kernel"]
    rows, columns, inputs, outputs = kernel.shape
    height, width = values.shape[1] - rows + 1, values.shape[2] - columns + 1
    shifted = [
        values[:, row : row + height, column : column + width]
        for row in range(rows)
        for column in range(columns)
    ]
    patches = jnp.concatenate(shifted, axis=-1).reshape(-1, rows * columns * inputs)
    convolved = patches @ kernel.reshape(-1, outputs)
    convolved = convolved.reshape(len(values), height, width, outputs)
    return activated(word, parameters[f"{path}.bias"] + convolved)


def pool(word: MaxPool2D, parameters: Parameters, path: str, values: jax.Array) -> jax.Array:
    """The largest of every window: ``(n, h, w, c)`` to ``(n, h / size, w / size, c)``."""
    window = (1, word.size, word.size, 1)
    return lax.reduce_window(values, -jnp.inf, lax.max, window, window, "VALID")


def pool_by_reshape(
    word: MaxPool2D, parameters: Parameters, path: str, values: jax.Array
) -> jax.Array:
    """The same without ``reduce_window``, whose gradient is slow on a CPU."""
    count, height, width, channels = values.shape
    rows, columns = height // word.size, width // word.size
    values = values[:, : rows * word.size, : columns * word.size]
    return values.reshape(count, rows, word.size, columns, word.size, channels).max(axis=(2, 4))


def flatten(word: Flatten, parameters: Parameters, path: str, values: jax.Array) -> jax.Array:
    return values.reshape(len(values), -1)


def dense(word: Dense, parameters: Parameters, path: str, values: jax.Array) -> jax.Array:
    return activated(word, linear(parameters, path, values))


def embed(word: Embed, parameters: Parameters, path: str, symbols: jax.Array) -> jax.Array:
    return parameters[f"{path}.table"][symbols]


def add_positions(
    word: Positions, parameters: Parameters, path: str, values: jax.Array
) -> jax.Array:
    return values + parameters[f"{path}.table"][: values.shape[1]]


def normalise(word: LayerNorm, parameters: Parameters, path: str, values: jax.Array) -> jax.Array:
    """In float32 whatever the compute type: its sums lose too much in bfloat16."""
    exact = values.astype(jnp.float32)
    mean = exact.mean(axis=-1, keepdims=True)
    variance = exact.var(axis=-1, keepdims=True)
    normal = ((exact - mean) * lax.rsqrt(variance + word.epsilon)).astype(values.dtype)
    return normal * parameters[f"{path}.scale"] + parameters[f"{path}.bias"]


def attend(
    word: CausalAttention, parameters: Parameters, path: str, values: jax.Array
) -> jax.Array:
    count, context, units = values.shape
    query, key, value = (
        linear(parameters, f"{path}.{name}", values).reshape(count, context, word.heads, -1)
        for name in ("query", "key", "value")
    )
    mixed = jax.nn.dot_product_attention(query, key, value, is_causal=True)
    return linear(parameters, f"{path}.output", mixed.reshape(count, context, units))


def head(word: TiedHead, parameters: Parameters, path: str, values: jax.Array) -> jax.Array:
    return values @ parameters[f"{word.table}.table"].T


def linear(parameters: Parameters, path: str, values: jax.Array) -> jax.Array:
    return values @ parameters[f"{path}.kernel"] + parameters[f"{path}.bias"]


LAYERS: Dict[Type[Any], Apply] = {
    Conv2D: convolve,
    MaxPool2D: pool,
    Flatten: flatten,
    Dense: dense,
    Embed: embed,
    Positions: add_positions,
    LayerNorm: normalise,
    CausalAttention: attend,
    TiedHead: head,
}

ACTIVATIONS = {
    "relu": jax.nn.relu,
    "gelu_tanh": functools.partial(jax.nn.gelu, approximate=True),
}
"""Without softmax: the loss takes scores before it."""


def activated(word: Any, values: jax.Array) -> jax.Array:
    return ACTIVATIONS[word.activation](values) if word.activation in ACTIVATIONS else values


class Network:
    """A workload's layers as one function of parameters and a batch of inputs.

    ``tuned`` are the values of the engine's tunables.
    """

    def __init__(self, workload: Workload, tuned: Mapping[str, str]) -> None:
        self._words = workload.layers
        self._layers: Dict[Type[Any], Apply] = {**LAYERS, Residual: self._add_branch}
        if tuned.get("convolution") == "matmul":
            self._layers[Conv2D] = convolve_by_matmul
        if tuned.get("pooling") == "reshape":
            self._layers[MaxPool2D] = pool_by_reshape

    def __call__(self, parameters: Parameters, inputs: jax.Array) -> jax.Array:
        """Scores before the softmax, ``(n, classes)``, or ``(n, context, classes)``."""
        return self._run(self._words, parameters, "", inputs)

    def _run(
        self, words: Sequence[Layer], parameters: Parameters, path: str, values: jax.Array
    ) -> jax.Array:
        for word in words:
            values = self._layers[type(word)](word, parameters, path + word.name, values)
        return values

    def _add_branch(
        self, word: Residual, parameters: Parameters, path: str, values: jax.Array
    ) -> jax.Array:
        return values + self._run(word.layers, parameters, f"{path}.", values)
