"""Initial weights of a workload: the same bytes for the same seed on every machine."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from epochmark.workloads.shapes import parameter_shapes
from epochmark.workloads.spec import Shape, Workload


def draw_weights(
    workload: Workload, seed: int, bias_range: float = 0.0
) -> dict[str, npt.NDArray[np.float32]]:
    """Glorot-uniform kernels and zero biases, or biases uniform in +-``bias_range``.

    Returns float32 arrays by ``<layer>.kernel`` and ``<layer>.bias`` in layer order, in the shapes
    of ``workloads.shapes.parameter_shapes``. The kernels do not depend on ``bias_range``.

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
    for name, shape in parameter_shapes(workload).items():
        limit = glorot_limit(shape) if name.endswith(".kernel") else bias_range
        drawn = limit * _draw_symmetric(bits, shape)
        weights[name] = drawn.astype(np.float32) if limit else np.zeros(shape, np.float32)
    return weights


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
