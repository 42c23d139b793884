"""Shape of everything in a workload, derived from its layer list: activations and parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional

from epochmark.workloads.spec import Conv2D, Dense, Flatten, Layer, MaxPool2D, Shape, Workload


@dataclass(frozen=True)
class LayerShapes:
    """One layer with the shapes around it, without the batch dimension.

    ``kernel`` and ``bias`` are None for layers that have nothing to train. ``positions`` is how
    often the kernel is applied to one image: once, or once per output pixel of a convolution.
    """

    layer: Layer
    input: Shape
    output: Shape
    kernel: Optional[Shape] = None
    bias: Optional[Shape] = None
    positions: int = 1


def layer_shapes(workload: Workload) -> tuple[LayerShapes, ...]:
    """Shapes of every layer in order, starting from ``workload.input_shape``.

    Raises ValueError, naming the layer, when a layer does not fit what comes before it.
    """
    shapes: list[LayerShapes] = []
    shape = workload.input_shape
    for layer in workload.layers:
        shapes.append(_infer(layer, shape))
        shape = shapes[-1].output
    return tuple(shapes)


def parameter_shapes(workload: Workload) -> dict[str, Shape]:
    """Shapes of the trainable arrays by ``<layer>.kernel`` and ``<layer>.bias``, in layer order."""
    shapes: dict[str, Shape] = {}
    for entry in layer_shapes(workload):
        if entry.kernel is not None and entry.bias is not None:
            shapes[f"{entry.layer.name}.kernel"] = entry.kernel
            shapes[f"{entry.layer.name}.bias"] = entry.bias
    return shapes


def parameter_count(workload: Workload) -> int:
    """Number of trainable scalars."""
    return sum(math.prod(shape) for shape in parameter_shapes(workload).values())


def _infer(layer: Layer, shape: Shape) -> LayerShapes:
    if isinstance(layer, Flatten):
        return LayerShapes(layer, shape, (math.prod(shape),))
    if isinstance(layer, Dense):
        (features,) = _expect_dimensions(layer, shape, 1)
        return LayerShapes(
            layer, shape, (layer.units,), kernel=(features, layer.units), bias=(layer.units,)
        )
    height, width, channels = _expect_dimensions(layer, shape, 3)
    size = layer.size if isinstance(layer, MaxPool2D) else layer.kernel_size
    if size > min(height, width):
        raise ValueError(f"{layer.name}: a {size} x {size} window does not fit into {shape}")
    if isinstance(layer, MaxPool2D):
        return LayerShapes(layer, shape, (height // size, width // size, channels))
    return _infer_convolution(layer, (height, width, channels))


def _infer_convolution(layer: Conv2D, shape: tuple[int, int, int]) -> LayerShapes:
    height, width, channels = shape
    size = layer.kernel_size
    rows, columns = height - size + 1, width - size + 1
    return LayerShapes(
        layer,
        shape,
        (rows, columns, layer.filters),
        kernel=(size, size, channels, layer.filters),
        bias=(layer.filters,),
        positions=rows * columns,
    )


def _expect_dimensions(layer: Layer, shape: Shape, dimensions: int) -> Shape:
    if len(shape) != dimensions:
        raise ValueError(f"{layer.name}: needs {dimensions} dimensions per image, got {shape}")
    return shape
