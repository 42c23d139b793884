"""Initial weights of a workload: the same bytes for the same seed on every machine."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from epochmark.workloads.shapes import Parameter, parameters_of
from epochmark.workloads.spec import Residual, Shape, Workload, all_layers

GPT_2_DEVIATION = 0.02
"""Radford et al. 2019; there normal, here uniform: logarithm and cosine differ between libraries of
mathematics, and weights are compared byte by byte."""


def draw_weights(
    workload: Workload, seed: int, bias_range: float = 0.0, spread: float = 1.0
) -> dict[str, npt.NDArray[np.float32]]:
    """Float32 arrays by name in layer order, in the shapes of ``shapes.parameter_shapes``.

    ``glorot``: kernels Glorot-uniform. ``gpt-2``: kernels and tables uniform with a standard
    deviation of 0.02, and those that end a residual branch with that divided by the root of the
    number of branches. Biases are zero and scales one, or uniform within ``bias_range`` of that;
    ``spread`` multiplies everything else. Kernels and tables do not depend on ``bias_range``.

    Only the raw 64-bit stream of PCG64 is used: NumPy guarantees that one for ever, but no
    distribution drawn from it. ``seed`` is a non-negative integer. Raises ValueError for a
    negative seed or a ``bias_range`` that is negative or not finite.
    """
    if not 0.0 <= bias_range < math.inf:
        raise ValueError(f"bias_range must be finite and not negative, got {bias_range}")
    if seed < 0:
        raise ValueError(f"seed must not be negative, got {seed}")
    bits = np.random.PCG64(seed)
    weights: dict[str, npt.NDArray[np.float32]] = {}
    for parameter in parameters_of(workload):
        multiplied = parameter.kind in ("kernel", "table")
        limit = spread * initial_limit(workload, parameter) if multiplied else bias_range
        centre = np.float64(parameter.kind == "scale")
        drawn = _draw_symmetric(bits, parameter.shape)
        # never -0.0, which a product with 0.0 may be
        values = centre + limit * drawn if limit else np.full(parameter.shape, centre)
        weights[parameter.name] = values.astype(np.float32)
    return weights


def initial_limit(workload: Workload, parameter: Parameter) -> float:
    """Half width of the uniform distribution of a kernel or table."""
    if workload.initial == "glorot":
        return glorot_limit(parameter.shape)
    branches = sum(isinstance(layer, Residual) for layer in all_layers(workload.layers))
    deviation = GPT_2_DEVIATION / (math.sqrt(branches) if parameter.ends_branch else 1.0)
    return math.sqrt(3.0) * deviation


def glorot_limit(kernel_shape: Shape) -> float:
    """Half width of the uniform distribution: ``sqrt(6 / (fan_in + fan_out))``.

    Glorot and Bengio 2010, "Understanding the difficulty of training deep feedforward neural
    networks", equation 16. A convolution kernel ``(height, width, channels_in, filters)`` has fans
    of its channels times its receptive field, as Keras counts them.
    """
    *receptive_field, channels_in, channels_out = kernel_shape
    return math.sqrt(6.0 / (math.prod(receptive_field) * (channels_in + channels_out)))


def _draw_symmetric(bits: np.random.PCG64, shape: Shape) -> npt.NDArray[np.float64]:
    """Uniform in [-1, 1), float64: the upper 53 of each 64 bits, which float64 holds exactly."""
    raw = np.asarray(bits.random_raw(math.prod(shape)), dtype=np.uint64)
    upper = (raw >> np.uint64(11)).astype(np.float64)
    return (upper * 2.0**-52 - 1.0).reshape(shape)
