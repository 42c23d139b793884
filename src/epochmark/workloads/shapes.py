"""Shape of everything in a workload, derived from its layer list: activations and parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

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
    Tokens,
    Workload,
)

ATTENTION_PARTS = ("query", "key", "value", "output")


@dataclass(frozen=True)
class Parameter:
    """A trainable array: ``name`` is its dotted path, ``kind`` the last part of it.

    ``ends_branch``: what comes out of it is added to what went into a residual branch.
    """

    name: str
    shape: Shape
    ends_branch: bool = False

    @property
    def kind(self) -> str:
        """``kernel``, ``bias``, ``table`` or ``scale``."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class LayerShapes:
    """One layer with the shapes around it, without the batch dimension.

    ``path`` is its dotted name. ``parameters`` are its own; ``positions`` is how often a kernel is
    applied to one sample: once, or once for each output pixel of a convolution or each position of
    a sequence.
    """

    layer: Layer
    path: str
    input: Shape
    output: Shape
    parameters: tuple[Parameter, ...] = ()
    positions: int = 1

    @property
    def kernel(self) -> Optional[Shape]:
        """Of a layer with one kernel; None of others."""
        return self._shape_of("kernel")

    @property
    def bias(self) -> Optional[Shape]:
        """Of a layer with one kernel and its bias; None of others."""
        return self._shape_of("bias") if self.kernel is not None else None

    def _shape_of(self, part: str) -> Optional[Shape]:
        names = {parameter.name: parameter.shape for parameter in self.parameters}
        return names.get(f"{self.path}.{part}")


def layer_shapes(workload: Workload) -> tuple[LayerShapes, ...]:
    """Shapes of every layer from front to back, starting from ``workload.input_shape``; those of a
    residual branch come before the addition that ends it.

    Raises ValueError, naming the layer, when a layer does not fit what comes before it.
    """
    shapes: list[LayerShapes] = []
    for entry in _sequence(workload, workload.layers, workload.input_shape, ""):
        if any(entry.path == before.path for before in shapes):
            raise ValueError(f"two layers are called {entry.path}")
        shapes.append(entry)
    return tuple(shapes)


def parameters_of(workload: Workload) -> tuple[Parameter, ...]:
    """Every trainable array, in layer order."""
    return tuple(parameter for entry in layer_shapes(workload) for parameter in entry.parameters)


def parameter_shapes(workload: Workload) -> dict[str, Shape]:
    """Shapes of the trainable arrays by their dotted names, in layer order."""
    return {parameter.name: parameter.shape for parameter in parameters_of(workload)}


def judged_parameters(workload: Workload) -> tuple[str, ...]:
    """Names of those whose gradient means something. The bias of an attention's keys shifts all
    scores of a position alike, which a softmax does not see: its gradient is nothing but rounding,
    which Adam blows up to steps as large as any."""
    without = {
        f"{entry.path}.key.bias"
        for entry in layer_shapes(workload)
        if isinstance(entry.layer, CausalAttention)
    }
    return tuple(
        parameter.name for parameter in parameters_of(workload) if parameter.name not in without
    )


def parameter_count(workload: Workload) -> int:
    """Number of trainable scalars."""
    return sum(math.prod(parameter.shape) for parameter in parameters_of(workload))


def _sequence(
    workload: Workload, layers: tuple[Layer, ...], shape: Shape, prefix: str
) -> Iterator[LayerShapes]:
    for layer in layers:
        path = f"{prefix}{layer.name}"
        if isinstance(layer, Residual):
            yield from _branch(workload, layer, shape, path)
            continue
        entry = _infer(workload, layer, shape, path)
        yield entry
        shape = entry.output


def _branch(workload: Workload, layer: Residual, shape: Shape, path: str) -> Iterator[LayerShapes]:
    """The layers of a branch, the last kernel of which ends it, and the addition."""
    inside = list(_sequence(workload, layer.layers, shape, f"{path}."))
    if not inside or inside[-1].output != shape:
        ends = inside[-1].output if inside else None
        raise ValueError(f"{path}: the branch turns {shape} into {ends}, which cannot be added")
    last = inside[-1]
    kernels = [parameter.name for parameter in last.parameters if parameter.kind == "kernel"]
    ending = tuple(
        Parameter(parameter.name, parameter.shape, ends_branch=parameter.name in kernels[-1:])
        for parameter in last.parameters
    )
    yield from inside[:-1]
    yield LayerShapes(last.layer, last.path, last.input, last.output, ending, last.positions)
    yield LayerShapes(layer, path, shape, shape)


def _infer(workload: Workload, layer: Layer, shape: Shape, path: str) -> LayerShapes:
    if isinstance(layer, Flatten):
        return LayerShapes(layer, path, shape, (math.prod(shape),))
    if isinstance(layer, (Conv2D, MaxPool2D)):
        return _infer_window(layer, shape, path)
    if isinstance(layer, Embed):
        (context,) = _expect_dimensions(path, shape, 1)
        if not isinstance(workload.input, Tokens):
            raise ValueError(f"{path}: embeds symbols, and the workload has images")
        table = Parameter(f"{path}.table", (workload.input.vocabulary, layer.units))
        return LayerShapes(layer, path, shape, (context, layer.units), (table,))
    return _infer_last_axis(workload, layer, shape, path)


def _infer_last_axis(workload: Workload, layer: Layer, shape: Shape, path: str) -> LayerShapes:
    """Layers that treat every position alike, or all positions of a sequence."""
    units = shape[-1]
    if isinstance(layer, Dense):
        if len(shape) > 2:
            raise ValueError(f"{path}: needs 1 or 2 dimensions per sample, got {shape}")
        parts = _kernel_and_bias(path, (units, layer.units))
        output = (*shape[:-1], layer.units)
        return LayerShapes(layer, path, shape, output, parts, math.prod(shape[:-1]))
    if isinstance(layer, LayerNorm):
        norm = (Parameter(f"{path}.scale", (units,)), Parameter(f"{path}.bias", (units,)))
        return LayerShapes(layer, path, shape, shape, norm)
    context, units = _expect_dimensions(path, shape, 2)
    if isinstance(layer, Positions):
        table = Parameter(f"{path}.table", (context, units))
        return LayerShapes(layer, path, shape, shape, (table,))
    if isinstance(layer, CausalAttention):
        if units % layer.heads:
            raise ValueError(f"{path}: {units} units cannot be shared by {layer.heads} heads")
        four = tuple(
            parameter
            for part in ATTENTION_PARTS
            for parameter in _kernel_and_bias(f"{path}.{part}", (units, units))
        )
        return LayerShapes(layer, path, shape, shape, four, context)
    assert isinstance(layer, TiedHead)
    tables = [
        embedding
        for embedding in workload.layers
        if isinstance(embedding, Embed) and embedding.name == layer.table
    ]
    if not tables or tables[0].units != units:
        raise ValueError(f"{path}: no embedding called {layer.table!r} has {units} units")
    return LayerShapes(layer, path, shape, (context, workload.classes), (), context)


def _infer_window(layer: Layer, shape: Shape, path: str) -> LayerShapes:
    assert isinstance(layer, (Conv2D, MaxPool2D))
    height, width, channels = _expect_dimensions(path, shape, 3)
    size = layer.size if isinstance(layer, MaxPool2D) else layer.kernel_size
    if size > min(height, width):
        raise ValueError(f"{path}: a {size} x {size} window does not fit into {shape}")
    if isinstance(layer, MaxPool2D):
        return LayerShapes(layer, path, shape, (height // size, width // size, channels))
    rows, columns = height - size + 1, width - size + 1
    return LayerShapes(
        layer,
        path,
        shape,
        (rows, columns, layer.filters),
        _kernel_and_bias(path, (size, size, channels, layer.filters)),
        positions=rows * columns,
    )


def _kernel_and_bias(path: str, kernel: Shape) -> tuple[Parameter, Parameter]:
    return Parameter(f"{path}.kernel", kernel), Parameter(f"{path}.bias", kernel[-1:])


def _expect_dimensions(path: str, shape: Shape, dimensions: int) -> Shape:
    if len(shape) != dimensions:
        raise ValueError(f"{path}: needs {dimensions} dimensions per sample, got {shape}")
    return shape
