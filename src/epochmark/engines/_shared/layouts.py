"""Our weights (``workloads.spec``, the layouts of Keras) in those of other frameworks, and back."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

import numpy as np
import numpy.typing as npt

from epochmark.engines._shared.contract import Weights
from epochmark.workloads import Workload
from epochmark.workloads.shapes import layer_shapes, parameter_shapes
from epochmark.workloads.spec import Dense, Flatten, Shape

Array = npt.NDArray[Any]
Arrays = Dict[str, npt.NDArray[np.float32]]
"""By name, contiguous: those of a framework are ``<layer>.weight`` and ``<layer>.bias``, as in a
state dict."""

WEIGHTS = ("kernel", "table", "scale")
"""What PyTorch, tinygrad and MLX call ``weight``, whatever the layer."""


def nchw_weights(workload: Workload, weights: Weights) -> Arrays:
    """For frameworks with images ``(n, channels, height, width)``: PyTorch, tinygrad.

    Convolutions ``(filters, channels, height, width)``, dense layers ``(units, features)``. Such
    frameworks flatten with the channels slowest, we with the channels fastest: the features of a
    dense layer that follows are reordered to match.
    """
    flattened = _flattened(workload)

    def converted(name: str, array: Array) -> Array:
        if not name.endswith("kernel"):
            return array
        if name in flattened:
            units = array.shape[-1]
            array = array.reshape(*flattened[name], units).transpose(2, 0, 1, 3).reshape(-1, units)
        return array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T

    return _to_theirs(weights, converted)


def weights_from_nchw(workload: Workload, arrays: Mapping[str, Array]) -> Arrays:
    """What ``nchw_weights`` was made from, by our names: float32 copies, whatever the arrays' order
    in memory."""
    flattened = _flattened(workload)

    def converted(name: str, array: Array) -> Array:
        if not name.endswith("kernel"):
            return array
        if array.ndim == 4:
            return array.transpose(2, 3, 1, 0)
        array = array.T
        if name in flattened:
            (rows, columns, channels), units = flattened[name], array.shape[-1]
            array = array.reshape(channels, rows, columns, units).transpose(1, 2, 0, 3)
        return array.reshape(-1, array.shape[-1])

    return _to_ours(workload, arrays, converted)


def nhwc_weights(weights: Weights) -> Arrays:
    """For frameworks with images ``(n, height, width, channels)`` and the filters first: MLX.

    Convolutions ``(filters, height, width, channels)``, dense layers ``(units, features)``.
    """
    return _to_theirs(
        weights,
        lambda name, array: np.moveaxis(array, -1, 0) if name.endswith("kernel") else array,
    )


def weights_from_nhwc(workload: Workload, arrays: Mapping[str, Array]) -> Arrays:
    """What ``nhwc_weights`` was made from, as ``weights_from_nchw``."""
    return _to_ours(
        workload,
        arrays,
        lambda name, array: np.moveaxis(array, 0, -1) if name.endswith("kernel") else array,
    )


def their_name(name: str) -> str:
    """What such frameworks call our ``<layer>.kernel``, ``.table`` or ``.scale``."""
    layer, _, part = name.rpartition(".")
    return f"{layer}.weight" if part in WEIGHTS else name


def _flattened(workload: Workload) -> Dict[str, Shape]:
    """Kernels of dense layers that follow a flatten, and the shape of what was flattened."""
    shapes: Dict[str, Shape] = {}
    before = None
    for entry in layer_shapes(workload):
        if isinstance(entry.layer, Flatten):
            before = entry.input
        elif isinstance(entry.layer, Dense) and before is not None and len(before) == 3:
            shapes[f"{entry.layer.name}.kernel"], before = before, None
    return shapes


def _to_theirs(weights: Weights, converted: Callable[[str, Array], Array]) -> Arrays:
    return {
        their_name(name): np.array(converted(name, array), np.float32, order="C")
        for name, array in weights.items()
    }


def _to_ours(
    workload: Workload, arrays: Mapping[str, Array], converted: Callable[[str, Array], Array]
) -> Arrays:
    return {
        name: np.array(converted(name, arrays[their_name(name)]), np.float32, order="C")
        for name in parameter_shapes(workload)
    }
