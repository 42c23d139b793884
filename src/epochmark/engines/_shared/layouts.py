"""Our weights (``workloads.spec``, the layouts of Keras) in those of other frameworks, and back."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import numpy as np
import numpy.typing as npt

from epochmark.engines._shared.contract import Weights
from epochmark.workloads import Workload
from epochmark.workloads.shapes import layer_shapes
from epochmark.workloads.spec import Conv2D, Dense, Flatten

Arrays = Dict[str, npt.NDArray[np.float32]]
"""By name, contiguous: those of a framework are ``<layer>.weight`` and ``<layer>.bias``, as in a
state dict."""


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


def weights_from_nchw(workload: Workload, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """What ``nchw_weights`` was made from, by ``<layer>.kernel`` and ``<layer>.bias``: float32
    copies, whatever the arrays' order in memory."""
    weights: Arrays = {}
    flattened = None
    for entry in layer_shapes(workload):
        layer = entry.layer
        if isinstance(layer, Flatten):
            flattened = entry.input
        elif isinstance(layer, Conv2D):
            kernel = arrays[f"{layer.name}.weight"].transpose(2, 3, 1, 0)
            _add(weights, layer.name, kernel, arrays, part="kernel")
        elif isinstance(layer, Dense):
            kernel = arrays[f"{layer.name}.weight"].T
            if flattened is not None:
                rows, columns, channels = flattened
                kernel = kernel.reshape(channels, rows, columns, layer.units)
                kernel = kernel.transpose(1, 2, 0, 3).reshape(-1, layer.units)
                flattened = None
            _add(weights, layer.name, kernel, arrays, part="kernel")
    return weights


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


def weights_from_nhwc(workload: Workload, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """What ``nhwc_weights`` was made from, as ``weights_from_nchw``."""
    weights: Arrays = {}
    for layer in workload.layers:
        if isinstance(layer, (Conv2D, Dense)):
            kernel = np.moveaxis(arrays[f"{layer.name}.weight"], 0, -1)
            _add(weights, layer.name, kernel, arrays, part="kernel")
    return weights


def _add(
    to: Arrays,
    name: str,
    kernel: npt.NDArray[Any],
    biases: Mapping[str, npt.NDArray[Any]],
    part: str = "weight",
) -> None:
    to[f"{name}.{part}"] = np.array(kernel, np.float32, order="C")
    to[f"{name}.bias"] = np.array(biases[f"{name}.bias"], np.float32, order="C")
