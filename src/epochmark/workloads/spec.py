"""The vocabulary in which a workload is written down: layers, optimizer, batch, epochs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Optional, Union

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Conv2D:
    """Valid convolution, stride 1, NHWC; kernel ``(height, width, channels_in, filters)``."""

    name: str
    filters: int
    kernel_size: int
    activation: Optional[str] = None


@dataclass(frozen=True)
class MaxPool2D:
    """Maximum over non-overlapping ``size`` x ``size`` windows, NHWC."""

    name: str
    size: int


@dataclass(frozen=True)
class Flatten:
    """``(batch, height, width, channels)`` to ``(batch, features)``, channels fastest."""

    name: str


@dataclass(frozen=True)
class Dense:
    """Matrix product with a kernel of shape ``(features_in, units)`` plus bias."""

    name: str
    units: int
    activation: Optional[str] = None


Layer = Union[Conv2D, MaxPool2D, Flatten, Dense]


@dataclass(frozen=True)
class Adam:
    """Constants of Adam (Kingma and Ba, 2015).

    Which form of it is used depends on the engine (docs/measurement/validity.md).
    """

    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float


@dataclass(frozen=True)
class Workload:
    """One training task, exactly; ``version`` changes whenever any other field does."""

    name: str
    version: int
    dataset: str
    train_images: int
    test_images: int
    input_shape: Shape
    pixel_scale: float
    classes: int
    layers: tuple[Layer, ...]
    loss: str
    optimizer: Adam
    batch_size: int
    epochs: int
    reshuffled_every_epoch: bool
    precision: str

    def steps_per_epoch(self, batch_size: Optional[int] = None) -> int:
        """Optimizer steps in one epoch, the last partial batch included."""
        return math.ceil(self.train_images / (batch_size or self.batch_size))
