"""Memory that a training needs, derived from the layer list: bytes in float32."""

from __future__ import annotations

import math
from typing import NamedTuple

from epochmark.workloads.memory_traffic import FLOAT_BYTES
from epochmark.workloads.shapes import LayerShapes, layer_shapes, parameter_count
from epochmark.workloads.spec import CausalAttention, Dense, Flatten, TiedHead, Workload

MOMENTS = 2
"""Arrays that Adam keeps of each parameter."""


class TrainingMemory(NamedTuple):
    """What a step holds at one time, in bytes. What a framework itself takes, and copies that it
    makes, are not in it. ``activations`` are those of an engine that keeps every sample's in
    float32 until its gradient is made: some keep fewer, or shorter numbers."""

    parameters: int
    gradients: int
    moments: int
    activations: int

    @property
    def certain(self) -> int:
        """What every engine holds, in any precision: all but the activations."""
        return self.parameters + self.gradients + self.moments


def training_memory(workload: Workload, batch_size: int) -> TrainingMemory:
    """Of a step with ``batch_size`` samples, all of them at one time."""
    parameters = FLOAT_BYTES * parameter_count(workload)
    activations = FLOAT_BYTES * batch_size * activations_kept(workload)
    return TrainingMemory(parameters, parameters, MOMENTS * parameters, activations)


def activations_kept(workload: Workload) -> int:
    """Numbers that a forward pass of one sample leaves for the backward pass."""
    return sum(_kept(entry) for entry in layer_shapes(workload))


def _kept(entry: LayerShapes) -> int:
    """What a layer makes. Attention: query, key, value, what the heads give, and the output; not
    its scores, which fused kernels never write. With GELU also what was before it, of which the
    slope is made. What ends in a softmax: the scores, their logarithms, and the gradient, all of
    which are there when the loss is known."""
    made = math.prod(entry.output)
    if isinstance(entry.layer, Flatten):
        return 0
    if isinstance(entry.layer, CausalAttention):
        return 5 * made
    if isinstance(entry.layer, TiedHead):
        return 3 * made
    if isinstance(entry.layer, Dense):
        return {"softmax": 3, "gelu_tanh": 2}.get(entry.layer.activation or "", 1) * made
    return made
