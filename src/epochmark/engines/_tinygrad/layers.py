"""The words of a workload as tinygrad's own layers, each a function of the values before it."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Sequence, Type

from tinygrad import Tensor, nn

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

Apply = Callable[[Tensor], Tensor]
Parameters = Mapping[str, Tensor]
"""By the dotted paths of our names, their last part ``weight`` or ``bias``; images are NCHW."""


def make_layers(workload: Workload, parameters: Parameters) -> List[Apply]:
    """The layers of a workload, for ``Tensor.sequential``: scores before the softmax at the end."""
    return _sequence(workload.layers, parameters, "")


def _sequence(words: Sequence[Layer], parameters: Parameters, path: str) -> List[Apply]:
    return [LAYERS[type(word)](word, parameters, path + word.name) for word in words]


def _filled(module: Any, parameters: Parameters, path: str) -> Any:
    """A module of tinygrad's with these parameters."""
    module.weight = parameters[f"{path}.weight"]
    if f"{path}.bias" in parameters:
        module.bias = parameters[f"{path}.bias"]
    return module


def _convolution(word: Conv2D, parameters: Parameters, path: str) -> Apply:
    channels = parameters[f"{path}.weight"].shape[1]
    module = nn.Conv2d(channels, word.filters, word.kernel_size)
    return _activated(word, _filled(module, parameters, path))


def _pool(word: MaxPool2D, parameters: Parameters, path: str) -> Apply:
    size = (word.size, word.size)
    return lambda values: values.max_pool2d(size)


def _linear(parameters: Parameters, path: str) -> Any:
    units, features = parameters[f"{path}.weight"].shape
    return _filled(nn.Linear(features, units), parameters, path)


def _dense(word: Dense, parameters: Parameters, path: str) -> Apply:
    return _activated(word, _linear(parameters, path))


def _embed(word: Embed, parameters: Parameters, path: str) -> Apply:
    module: Apply = _filled(nn.Embedding(*parameters[f"{path}.weight"].shape), parameters, path)
    return module


def _positions(word: Positions, parameters: Parameters, path: str) -> Apply:
    table = parameters[f"{path}.weight"]
    return lambda values: values + table[: values.shape[1]]


def _normalise(word: LayerNorm, parameters: Parameters, path: str) -> Apply:
    module = nn.LayerNorm(parameters[f"{path}.weight"].shape, eps=word.epsilon)
    filled: Apply = _filled(module, parameters, path)
    return filled


def _attend(word: CausalAttention, parameters: Parameters, path: str) -> Apply:
    names = ("query", "key", "value", "output")
    *projections, output = (_linear(parameters, f"{path}.{name}") for name in names)

    def attend(values: Tensor) -> Tensor:
        count, context, units = values.shape
        query, key, value = (
            project(values).reshape(count, context, word.heads, -1).transpose(1, 2)
            for project in projections
        )
        mixed = query.scaled_dot_product_attention(key, value, is_causal=True)
        return output(mixed.transpose(1, 2).reshape(count, context, units))

    return attend


def _branch(word: Residual, parameters: Parameters, path: str) -> Apply:
    inside = _sequence(word.layers, parameters, f"{path}.")
    return lambda values: values + values.sequential(inside)


def _head(word: TiedHead, parameters: Parameters, path: str) -> Apply:
    table = parameters[f"{word.table}.weight"]
    return lambda values: values @ table.T


LAYERS: Dict[Type[Any], Callable[[Any, Parameters, str], Apply]] = {
    Conv2D: _convolution,
    MaxPool2D: _pool,
    Flatten: lambda word, parameters, path: lambda values: values.flatten(1),
    Dense: _dense,
    Embed: _embed,
    Positions: _positions,
    LayerNorm: _normalise,
    CausalAttention: _attend,
    Residual: _branch,
    TiedHead: _head,
}

ACTIVATIONS: Dict[Any, Apply] = {"relu": Tensor.relu, "gelu_tanh": Tensor.gelu}
"""Without softmax: the loss takes scores before it. tinygrad's GELU is the one with tanh."""


def _activated(word: Any, module: Apply) -> Apply:
    if word.activation not in ACTIVATIONS:
        return module
    activation = ACTIVATIONS[word.activation]
    return lambda values: activation(module(values))
