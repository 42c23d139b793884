"""Arithmetic of a workload, derived from its layer list: FLOPs per image, forward and training."""

from __future__ import annotations

import math
from dataclasses import dataclass

from epochmark.workloads.shapes import LayerShapes, layer_shapes
from epochmark.workloads.spec import Conv2D, Workload


@dataclass(frozen=True)
class LayerFlops:
    """Floating-point operations of one layer for one image; a multiply-add counts as two."""

    name: str
    is_convolution: bool
    forward: int
    kernel_gradient: int
    input_gradient: int

    @property
    def training(self) -> int:
        """Forward pass and both gradients, per image."""
        return self.forward + self.kernel_gradient + self.input_gradient


@dataclass(frozen=True)
class Flops:
    """Floating-point operations of a whole workload for one image, layer by layer.

    Counted as direct arithmetic, whatever algorithm an engine uses, and only the multiply-adds of
    convolutions and dense layers: biases, ReLU, pooling, softmax and the optimizer do not count.
    (Adam's roughly 15 operations per parameter and step come to 0.2 % at batch 128.)
    """

    layers: tuple[LayerFlops, ...]

    @property
    def forward(self) -> int:
        """One forward pass of one image."""
        return sum(layer.forward for layer in self.layers)

    @property
    def training(self) -> int:
        """One image's share of a training step: forward pass and both gradients."""
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
    """FLOPs per image of every layer that multiplies, in layer order.

    Each gradient of a layer costs as much as its forward pass. The first layer needs no input
    gradient: nothing before it is trained.
    """
    trained = [entry for entry in layer_shapes(workload) if entry.kernel is not None]
    return Flops(
        tuple(_count_layer(entry, is_first=index == 0) for index, entry in enumerate(trained))
    )


def _count_layer(entry: LayerShapes, is_first: bool) -> LayerFlops:
    product = 2 * entry.positions * math.prod(entry.kernel or ())
    return LayerFlops(
        name=entry.layer.name,
        is_convolution=isinstance(entry.layer, Conv2D),
        forward=product,
        kernel_gradient=product,
        input_gradient=0 if is_first else product,
    )
