"""Our weights (``workloads.spec``, the layouts of Keras) in the layouts of other frameworks."""

from __future__ import annotations

from typing import Dict

import numpy as np
import numpy.typing as npt

from epochmark.engines._contract import Weights
from epochmark.workloads import Workload
from epochmark.workloads.shapes import layer_shapes
from epochmark.workloads.spec import Conv2D, Dense, Flatten

Arrays = Dict[str, npt.NDArray[np.float32]]
"""By ``<layer>.weight`` and ``<layer>.bias``, contiguous: names and layouts of a state dict."""


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


def _add(arrays: Arrays, name: str, kernel: npt.NDArray[np.float32], weights: Weights) -> None:
    arrays[f"{name}.weight"] = np.ascontiguousarray(kernel)
    arrays[f"{name}.bias"] = np.ascontiguousarray(weights[f"{name}.bias"])
