"""The words of a workload as Keras's own layers, and a model made of them.

Without branches it is a ``Sequential``, as in the original script; with them it is functional.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Type

from epochmark.engines._keras.imported import keras
from epochmark.engines._shared.contract import UnavailableError, Weights
from epochmark.workloads import Workload
from epochmark.workloads.shapes import parameter_shapes
from epochmark.workloads.spec import (
    CausalAttention,
    Conv2D,
    Dense,
    Embed,
    Flatten,
    Images,
    Layer,
    LayerNorm,
    MaxPool2D,
    Positions,
    Residual,
    Shape,
    TiedHead,
)

layers = keras.layers


class LearnedPositions(keras.layers.Layer):  # type: ignore[misc]
    """Adds row t of its table to position t."""

    def __init__(self, context: int) -> None:
        super().__init__()
        self._context = context

    def build(self, input_shape: Shape) -> None:
        self._table = self.add_weight(name="table", shape=(self._context, input_shape[-1]))

    def call(self, values: Any) -> Any:
        return values + self._table[: values.shape[1]]


def gelu_tanh(values: Any) -> Any:
    return keras.activations.gelu(values, approximate=True)


ACTIVATIONS = {"relu": "relu", "softmax": "softmax", "gelu_tanh": gelu_tanh, None: None}


def _dense(word: Dense, workload: Workload, data_format: str) -> Any:
    """Under a mixed policy softmax computes in float32, as Keras's guide to mixed precision
    demands."""
    exact = {"dtype": "float32"} if word.activation == "softmax" else {}
    return layers.Dense(word.units, activation=ACTIVATIONS[word.activation], **exact)


PLAIN: Dict[Type[Any], Callable[[Any, Workload, str], Any]] = {
    Conv2D: lambda word, workload, data_format: layers.Conv2D(
        word.filters,
        (word.kernel_size, word.kernel_size),
        activation=ACTIVATIONS[word.activation],
        data_format=data_format,
    ),
    MaxPool2D: lambda word, workload, data_format: layers.MaxPooling2D(
        (word.size, word.size), data_format=data_format
    ),
    # whatever the user's default is
    Flatten: lambda word, workload, data_format: layers.Flatten(data_format="channels_last"),
    Dense: _dense,
    Embed: lambda word, workload, data_format: layers.ReversibleEmbedding(
        workload.classes, word.units
    ),
    Positions: lambda word, workload, data_format: LearnedPositions(workload.input_shape[0]),
    LayerNorm: lambda word, workload, data_format: layers.LayerNormalization(epsilon=word.epsilon),
}
"""Words that are one layer each, called with what the layer before it returned."""


class Model(NamedTuple):
    """A model of Keras's, and its trainable variables by our names of the parameters."""

    keras: Any
    variables: Dict[str, Any]

    def set_weights(self, weights: Weights) -> None:
        """In Keras's shapes, which keep heads apart: the values lie in the same order."""
        for name, variable in self.variables.items():
            variable.assign(weights[name].reshape(tuple(variable.shape)))


def make_model(workload: Workload, tuned: Mapping[str, str], input_shape: Shape) -> Model:
    """The model of a workload, not compiled; ``tuned`` are the values of the engine's tunables.

    ``input_shape`` is that of a sample: a sequence may be shorter than the workload's. Raises
    ``UnavailableError`` where this Keras lacks a layer.
    """
    making = _Making(workload, tuned.get("layout", "channels_last"))
    if all(type(word) in PLAIN for word in workload.layers):
        model = making.sequential(input_shape)
    elif hasattr(layers, "ReversibleEmbedding"):
        model = making.functional(input_shape)
    else:
        raise UnavailableError(
            f"Keras {keras.__version__} has no ReversibleEmbedding, which {workload.name} needs; "
            "Keras 3.15 has it"
        )
    return Model(model, making.named_variables())


class _Making:
    """A model in the making: its layers so far by the dotted paths of their names."""

    def __init__(self, workload: Workload, data_format: str) -> None:
        self._workload, self._format = workload, data_format
        self._made: Dict[str, Any] = {}

    def sequential(self, input_shape: Shape) -> Any:
        first = self._format == "channels_first"
        if first:
            input_shape = (input_shape[-1], *input_shape[:-1])
        stack: List[Any] = [keras.Input(shape=input_shape)]
        for word in self._workload.layers:
            if first and isinstance(word, Flatten):
                stack.append(layers.Permute((2, 3, 1)))
            stack.append(self._plain(word, word.name))
        return keras.Sequential(stack)

    def functional(self, input_shape: Shape) -> Any:
        images = isinstance(self._workload.input, Images)
        inputs = keras.Input(shape=input_shape, dtype="float32" if images else "int32")
        scores = self._apply(self._workload.layers, "", inputs)
        # scores and loss in float32, whatever the policy
        return keras.Model(inputs, layers.Activation("linear", dtype="float32")(scores))

    def named_variables(self) -> Dict[str, Any]:
        """Those of each layer are, in Keras's order, the parameters of its word in ours."""
        names = list(parameter_shapes(self._workload))
        return {
            name: variable
            for path, layer in self._made.items()
            for name, variable in zip(
                (name for name in names if name.startswith(f"{path}.")), layer.trainable_variables
            )
        }

    def _plain(self, word: Layer, path: str) -> Any:
        self._made[path] = PLAIN[type(word)](word, self._workload, self._format)
        return self._made[path]

    def _apply(self, words: Sequence[Layer], path: str, values: Any) -> Any:
        for word in words:
            values = self._called(word, path + word.name, values)
        return values

    def _called(self, word: Layer, path: str, values: Any) -> Any:
        if isinstance(word, Residual):
            return layers.add([values, self._apply(word.layers, f"{path}.", values)])
        if isinstance(word, CausalAttention):
            attention = layers.MultiHeadAttention(word.heads, values.shape[-1] // word.heads)
            self._made[path] = attention
            return attention(values, values, use_causal_mask=True)
        if isinstance(word, TiedHead):
            return self._made[word.table](values, reverse=True)
        return self._plain(word, path)(values)
