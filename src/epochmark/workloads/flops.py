"""Arithmetic of a workload, derived from its layer list: FLOPs of a sample, and of training."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from epochmark.workloads.shapes import LayerShapes, layer_shapes
from epochmark.workloads.spec import CausalAttention, Conv2D, TiedHead, Workload


@dataclass(frozen=True)
class LayerFlops:
    """Floating-point operations of one layer for one sample; a multiply-add counts as two.

    ``name`` is its dotted path.
    """

    name: str
    is_convolution: bool
    forward: int
    kernel_gradient: int
    input_gradient: int

    @property
    def training(self) -> int:
        """Forward pass and both gradients, of one sample."""
        return self.forward + self.kernel_gradient + self.input_gradient


@dataclass(frozen=True)
class Flops:
    """Floating-point operations of a whole workload for one sample, layer by layer.

    Counted as direct arithmetic, whatever algorithm an engine uses, and only the multiply-adds of
    convolutions, dense layers, attention and the head: biases, activations, normalisation, pooling,
    look-ups, softmax and the optimizer do not count. (Adam's roughly 15 operations per parameter
    and step come to 0.2 % of ``mnist-cnn`` at batch 128.) Of attention only the pairs that a causal
    mask leaves, ``context * (context + 1) / 2``, which is what no correct engine can avoid.
    """

    layers: tuple[LayerFlops, ...]

    @property
    def forward(self) -> int:
        """One forward pass of one sample."""
        return sum(layer.forward for layer in self.layers)

    @property
    def training(self) -> int:
        """One sample's share of a training step: forward pass and both gradients."""
        return sum(layer.training for layer in self.layers)

    @property
    def training_convolutions(self) -> int:
        """The part of ``training`` that convolutions do (minimal filtering can shorten it)."""
        return sum(layer.training for layer in self.layers if layer.is_convolution)

    @property
    def training_rest(self) -> int:
        """The part of ``training`` that is not in convolutions."""
        return self.training - self.training_convolutions


def count_flops(workload: Workload) -> Flops:
    """FLOPs of one sample of every layer that multiplies, in layer order.

    Each gradient of a layer costs as much as its forward pass. The first trained layer needs no
    input gradient: nothing before it is trained.
    """
    return Flops(tuple(_counted(workload)))


def run_tflop(workload: Workload) -> float:
    """Of a whole run, in 1e12."""
    return count_flops(workload).training * workload.train_samples * workload.epochs / 1e12


def _counted(workload: Workload) -> Iterator[LayerFlops]:
    trained_before = False
    for entry in layer_shapes(workload):
        product = 2 * _multiply_adds(entry)
        if product:
            yield LayerFlops(
                name=entry.path,
                is_convolution=isinstance(entry.layer, Conv2D),
                forward=product,
                kernel_gradient=product,
                input_gradient=product if trained_before else 0,
            )
        trained_before = trained_before or bool(entry.parameters)


def _multiply_adds(entry: LayerShapes) -> int:
    """Of a forward pass of one sample."""
    kernels = sum(
        math.prod(parameter.shape) for parameter in entry.parameters if parameter.kind == "kernel"
    )
    if isinstance(entry.layer, CausalAttention):
        context, units = entry.input
        pairs = context * (context + 1) // 2
        # scores, and the sums of values that they weigh; backwards each has two products as well
        return entry.positions * kernels + 2 * pairs * units
    if isinstance(entry.layer, TiedHead):
        return entry.positions * entry.input[-1] * entry.output[-1]
    return entry.positions * kernels
