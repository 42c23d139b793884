"""Our weights (``workloads.spec``, the layouts of Keras) in those of other frameworks, and back."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np
import numpy.typing as npt

from epochmark.engines._contract import Weights
from epochmark.workloads import Workload
from epochmark.workloads.shapes import layer_shapes
from epochmark.workloads.spec import Conv2D, Dense, Flatten

Arrays = Dict[str, npt.NDArray[np.float32]]
"""By name, contiguous; other frameworks' are ``<layer>.weight`` and ``<layer>.bias``."""


def nchw_weights(workload: Workload, weights: Weights) -> Arrays:
    """For frameworks with images ``(n, channels, height, width)``: PyTorch, tinygrad.

    Convolutions ``(filters, channels, height, width)``, dense layers ``(units, features)``. Such
    frameworks flatten with the channels slowest, we with the channels fastest: the features of a
    dense layer that follows are reordered to match.
    """
    arrays: Arrays = {}
    flattened = None
    for entry in layer_shapes(workload):
        layer = entry.layer
        if isinstance(layer, Flatten):
            flattened = entry.input
        elif isinstance(layer, Conv2D):
            kernel = weights[f"{layer.name}.kernel"]
            _add(arrays, layer.name, kernel.transpose(3, 2, 0, 1), weights)
        elif isinstance(layer, Dense):
            kernel = weights[f"{layer.name}.kernel"]
            if flattened is not None:
                kernel = kernel.reshape(*flattened, layer.units).transpose(2, 0, 1, 3)
                flattened = None
            _add(arrays, layer.name, kernel.reshape(-1, layer.units).T, weights)
    return arrays


def nhwc_weights(workload: Workload, weights: Weights) -> Arrays:
    """For frameworks with images ``(n, height, width, channels)`` and the filters first: MLX.

    Convolutions ``(filters, height, width, channels)``, dense layers ``(units, features)``.
    """
    arrays: Arrays = {}
    for layer in workload.layers:
        if isinstance(layer, (Conv2D, Dense)):
            kernel = weights[f"{layer.name}.kernel"]
            _add(arrays, layer.name, np.moveaxis(kernel, -1, 0), weights)
    return arrays


def from_nchw(workload: Workload, arrays: Mapping[str, npt.ArrayLike]) -> Arrays:
    """The way back from `nchw_weights`, for weights and for moments of Adam: copies in our names
    and layouts."""
    ours: Arrays = {}
    flattened = None
    for entry in layer_shapes(workload):
        layer = entry.layer
        if isinstance(layer, Flatten):
            flattened = entry.input
        elif isinstance(layer, Conv2D):
            kernel = np.asarray(arrays[f"{layer.name}.weight"]).transpose(2, 3, 1, 0)
            _add_ours(ours, layer.name, kernel, arrays)
        elif isinstance(layer, Dense):
            kernel = np.asarray(arrays[f"{layer.name}.weight"]).T
            if flattened is not None:
                height, width, channels = flattened
                kernel = kernel.reshape(channels, height, width, -1).transpose(1, 2, 0, 3)
                flattened = None
            _add_ours(ours, layer.name, kernel.reshape(-1, layer.units), arrays)
    return ours


def from_nhwc(workload: Workload, arrays: Mapping[str, npt.ArrayLike]) -> Arrays:
    """The way back from `nhwc_weights`, as `from_nchw`."""
    ours: Arrays = {}
    for layer in workload.layers:
        if isinstance(layer, (Conv2D, Dense)):
            kernel = np.moveaxis(np.asarray(arrays[f"{layer.name}.weight"]), 0, -1)
            _add_ours(ours, layer.name, kernel, arrays)
    return ours


def _add_ours(
    ours: Arrays, name: str, kernel: npt.NDArray[Any], arrays: Mapping[str, npt.ArrayLike]
) -> None:
    ours[f"{name}.kernel"] = np.array(kernel, np.float32, order="C")
    ours[f"{name}.bias"] = np.array(arrays[f"{name}.bias"], np.float32)


def _add(arrays: Arrays, name: str, kernel: npt.NDArray[np.float32], weights: Weights) -> None:
    arrays[f"{name}.weight"] = np.ascontiguousarray(kernel)
    arrays[f"{name}.bias"] = np.ascontiguousarray(weights[f"{name}.bias"])
