"""Bytes that a training step reads and writes, derived from the layer list, and its intensity."""

from __future__ import annotations

import math

from epochmark.workloads.flops import count_flops
from epochmark.workloads.shapes import layer_shapes, parameter_count
from epochmark.workloads.spec import Flatten, Workload

FLOAT_BYTES = 4
ACTIVATION_PASSES = 5
"""Written forwards; read by the next layer and the backward pass; their gradient written, read."""
PARAMETER_PASSES = 8
"""The gradient written; Adam reads weight, gradient and two moments and writes three of them."""


def bytes_per_step(workload: Workload, batch_size: int) -> int:
    """Bytes that a float32 step without fusing and caches reads and writes."""
    outputs = (one for one in layer_shapes(workload) if not isinstance(one.layer, Flatten))
    activations = batch_size * sum(math.prod(one.output) for one in outputs)
    parameters = parameter_count(workload)
    return FLOAT_BYTES * (ACTIVATION_PASSES * activations + PARAMETER_PASSES * parameters)


def arithmetic_intensity(workload: Workload, batch_size: int) -> float:
    """FLOP of direct arithmetic for each of those bytes (Williams, Waterman and Patterson,
    Roofline, Communications of the ACM 52, 2009)."""
    flop = count_flops(workload).training * batch_size
    return flop / bytes_per_step(workload, batch_size)
