"""What a training step moves and starts, derived from the layer list: bytes, and operations."""

from __future__ import annotations

import math

from epochmark.workloads.flops import count_flops
from epochmark.workloads.shapes import LayerShapes, layer_shapes, parameter_count
from epochmark.workloads.spec import (
    CausalAttention,
    Flatten,
    Positions,
    Residual,
    TiedHead,
    Workload,
)

FLOAT_BYTES = 4
ACTIVATION_PASSES = 5
"""Written forwards; read by the next layer and the backward pass; their gradient written, read."""
PARAMETER_PASSES = 8
"""The gradient written; Adam reads weight, gradient and two moments and writes three of them."""


def bytes_per_step(workload: Workload, batch_size: int) -> int:
    """Bytes that a float32 step without fusing and caches reads and writes."""
    activations = batch_size * sum(_activations(entry) for entry in layer_shapes(workload))
    parameters = parameter_count(workload)
    return FLOAT_BYTES * (ACTIVATION_PASSES * activations + PARAMETER_PASSES * parameters)


def _activations(entry: LayerShapes) -> int:
    """Numbers that a layer makes of one sample. Attention: query, key, value, what the heads give,
    and the output; not its scores, which fused kernels never write."""
    if isinstance(entry.layer, Flatten):
        return 0
    made = math.prod(entry.output)
    return 5 * made if isinstance(entry.layer, CausalAttention) else made


def arithmetic_intensity(workload: Workload, batch_size: int) -> float:
    """FLOP of direct arithmetic for each of those bytes (Williams, Waterman and Patterson,
    Roofline, Communications of the ACM 52, 2009)."""
    flop = count_flops(workload).training * batch_size
    return flop / bytes_per_step(workload, batch_size)


def operations_per_step(workload: Workload) -> int:
    """The fewest operations an engine needs that fuses bias and activation into each layer, and all
    of Adam into one: layers and loss forwards and backwards, kernel and input gradients."""
    entries = [entry for entry in layer_shapes(workload) if not isinstance(entry.layer, Flatten)]
    forwards = sum(_forward_operations(entry) for entry in entries) + 1
    backwards = sum(_backward_operations(entry) for entry in entries) + 1
    # the first trained layer needs no input gradient
    return forwards + backwards - 1 + 1


def _forward_operations(entry: LayerShapes) -> int:
    """Attention: its three inputs in one product, the heads in one, the output."""
    return 3 if isinstance(entry.layer, CausalAttention) else 1


def _backward_operations(entry: LayerShapes) -> int:
    """Two for what has something to train, its own gradient and that of its input; attention twice
    that, and its heads; one for positions, whose input gradient is their output's; none for an
    addition, which passes on what it gets."""
    if isinstance(entry.layer, CausalAttention):
        return 5
    if isinstance(entry.layer, Residual):
        return 0
    if isinstance(entry.layer, Positions):
        return 1
    return 2 if entry.parameters or isinstance(entry.layer, TiedHead) else 1
