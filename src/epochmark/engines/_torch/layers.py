"""The words of a workload as PyTorch's own layers, and a model made of them."""

from __future__ import annotations

import functools
from collections import OrderedDict
from typing import Any, Callable, Dict, Sequence, Type

import torch
from torch import nn
from torch.nn import functional

from epochmark.workloads import Workload
from epochmark.workloads.shapes import parameter_shapes
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
    Shape,
    TiedHead,
)

ShapeOf = Callable[[str], Shape]
"""The shape of a layer's parameter by its name in there (``kernel``, ``query.kernel``)."""


class LearnedPositions(nn.Embedding):  # type: ignore[misc]
    """Adds row t of its table to position t."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        places = torch.arange(values.size(1), device=values.device)
        return values + super().forward(places)


class Attention(nn.Module):  # type: ignore[misc]
    """Causal self-attention in several heads."""

    def __init__(self, units: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(units, units)
        self.key = nn.Linear(units, units)
        self.value = nn.Linear(units, units)
        self.output = nn.Linear(units, units)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            project(values).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for project in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.output(mixed.transpose(1, 2).flatten(-2))


class Branch(nn.Sequential):  # type: ignore[misc]
    """A residual branch: its layers' result is added to what goes into them."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + super().forward(values)


class Head(nn.Module):  # type: ignore[misc]
    """Scores by the rows of an embedding's table: ``weight`` is that very parameter."""

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return functional.linear(values, self.weight)


LAYERS: Dict[Type[Any], Callable[[Any, ShapeOf], nn.Module]] = {
    Conv2D: lambda word, shape: nn.Conv2d(shape("kernel")[2], word.filters, word.kernel_size),
    MaxPool2D: lambda word, shape: nn.MaxPool2d(word.size),
    Flatten: lambda word, shape: nn.Flatten(),
    Dense: lambda word, shape: nn.Linear(shape("kernel")[0], word.units),
    Embed: lambda word, shape: nn.Embedding(*shape("table")),
    Positions: lambda word, shape: LearnedPositions(*shape("table")),
    LayerNorm: lambda word, shape: nn.LayerNorm(shape("scale"), eps=word.epsilon),
    CausalAttention: lambda word, shape: Attention(shape("output.bias")[0], word.heads),
    Residual: lambda word, shape: Branch(_named(word.layers, shape)),
    TiedHead: lambda word, shape: Head(),
}

ACTIVATIONS: Dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
}
"""Without softmax: ``CrossEntropyLoss`` takes scores before it."""


def make_model(workload: Workload) -> nn.Sequential:
    """A workload as a PyTorch user writes it: images NCHW, scores before the softmax at the end."""
    model = nn.Sequential(_named(workload.layers, parameter_shapes(workload).__getitem__))
    for word in workload.layers:
        if isinstance(word, TiedHead):
            model.get_submodule(word.name).weight = model.get_submodule(word.table).weight
    return model


def _named(words: Sequence[Layer], shape: ShapeOf) -> Dict[str, nn.Module]:
    """Layers by their names, each with its activation, if it has one, behind it."""
    modules: Dict[str, nn.Module] = OrderedDict()
    for word in words:
        inside = functools.partial(_inside, shape, word.name)
        modules[word.name] = LAYERS[type(word)](word, inside)
        activation = getattr(word, "activation", None)
        if activation in ACTIVATIONS:
            modules[f"{word.name}_{activation}"] = ACTIVATIONS[activation]()
    return modules


def _inside(shape: ShapeOf, name: str, part: str) -> Shape:
    return shape(f"{name}.{part}")
