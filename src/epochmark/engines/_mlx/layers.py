"""The words of a workload as MLX's own layers, and a model made of them."""

from __future__ import annotations

import functools
import math
from typing import Any, Callable, Dict, Type, Union

import mlx.core as mx
from mlx import nn

from epochmark.workloads import Workload
from epochmark.workloads.shapes import parameter_shapes
from epochmark.workloads.spec import (
    CausalAttention,
    Conv2D,
    Dense,
    Embed,
    Flatten,
    LayerNorm,
    MaxPool2D,
    Positions,
    Residual,
    Shape,
    TiedHead,
)

Apply = Callable[[mx.array], mx.array]
ShapeOf = Callable[[str], Shape]
"""The shape of a layer's parameter by its name in there (``kernel``, ``query.kernel``)."""


class LearnedPositions(nn.Embedding):  # type: ignore[misc]
    """Adds row t of its table to position t."""

    def __call__(self, values: mx.array) -> mx.array:
        return values + self.weight[: values.shape[1]]


class Attention(nn.Module):  # type: ignore[misc]
    """Causal self-attention in several heads."""

    def __init__(self, units: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(units, units)
        self.key = nn.Linear(units, units)
        self.value = nn.Linear(units, units)
        self.output = nn.Linear(units, units)

    def __call__(self, values: mx.array) -> mx.array:
        query, key, value = (
            mx.unflatten(project(values), -1, (self.heads, -1)).transpose(0, 2, 1, 3)
            for project in (self.query, self.key, self.value)
        )
        scale = 1 / math.sqrt(query.shape[-1])
        mixed = mx.fast.scaled_dot_product_attention(query, key, value, scale=scale, mask="causal")
        return self.output(mixed.transpose(0, 2, 1, 3).flatten(-2))


class Model(nn.Module):  # type: ignore[misc]
    """The layers of a workload, or of a branch of it, one after the other, by their names."""

    def __init__(self, of: Union[Workload, Residual], shape: ShapeOf) -> None:
        super().__init__()
        self._of = of
        for word in of.layers:
            if isinstance(word, TiedHead):  # no module of its own: the table is a parameter once
                layer = getattr(self, word.table).as_linear
            else:
                layer = LAYERS[type(word)](word, functools.partial(_inside, shape, word.name))
            setattr(self, word.name, layer)

    def __call__(self, values: mx.array) -> mx.array:
        for word in self._of.layers:
            values = getattr(self, word.name)(values)
            activation = getattr(word, "activation", None)
            if activation in ACTIVATIONS:
                values = ACTIVATIONS[activation](values)
        return values


class Branch(Model):
    """A residual branch: its layers' result is added to what goes into them."""

    def __call__(self, values: mx.array) -> mx.array:
        return values + super().__call__(values)


LAYERS: Dict[Type[Any], Callable[[Any, ShapeOf], Apply]] = {
    Conv2D: lambda word, shape: nn.Conv2d(shape("kernel")[2], word.filters, word.kernel_size),
    MaxPool2D: lambda word, shape: nn.MaxPool2d(word.size, word.size),
    Flatten: lambda word, shape: lambda values: values.flatten(1),
    Dense: lambda word, shape: nn.Linear(shape("kernel")[0], word.units),
    Embed: lambda word, shape: nn.Embedding(*shape("table")),
    Positions: lambda word, shape: LearnedPositions(*shape("table")),
    LayerNorm: lambda word, shape: nn.LayerNorm(shape("scale")[0], eps=word.epsilon),
    CausalAttention: lambda word, shape: Attention(shape("output.bias")[0], word.heads),
    Residual: Branch,
}

ACTIVATIONS: Dict[str, Apply] = {"relu": nn.relu, "gelu_tanh": nn.gelu_approx}
"""Without softmax: the loss takes scores before it."""


def make_model(workload: Workload) -> Model:
    """A workload as an MLX user writes it: images NHWC, scores before the softmax at the end."""
    return Model(workload, parameter_shapes(workload).__getitem__)


def _inside(shape: ShapeOf, name: str, part: str) -> Shape:
    return shape(f"{name}.{part}")
