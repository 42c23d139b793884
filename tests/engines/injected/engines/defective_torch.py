"""PyTorch with one thing wrong: which one, the environment variable ``DEFECT`` says."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any, Callable, Dict, List, Sequence

import numpy as np

from epochmark.engines import Batch, Device, Labels, Pixels, Settings, Weights
from epochmark.engines import torch as engine_file
from epochmark.engines.torch import Data, TorchEngine, Training


class DefectiveTorchEngine(TorchEngine):
    """Correct as it stands; the defects below change one method, or one object, of it."""

    info = replace(TorchEngine.info, name="defective-torch")


def changing_training(change: Callable[[Training], None]) -> TorchEngine:
    """An engine whose model or optimizer is changed before the first step."""

    class Changed(DefectiveTorchEngine):
        def _new_training(self, weights: Weights) -> Training:
            training = super()._new_training(weights)
            change(training)
            return training

    return Changed()


def set_optimizer(**values: float) -> Callable[[Training], None]:
    return lambda training: training.optimizer.param_groups[0].update(values)


def leave_bias_correction_off(training: Training) -> None:
    """Both corrections are 1 after enough steps."""
    import torch

    for parameter in training.model.parameters():
        training.optimizer.state[parameter] = {
            "step": torch.tensor(1e6),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }


def swap_kernel_height_and_width(training: Training) -> None:
    for layer in (training.model.conv_1, training.model.conv_2):
        layer.weight.data = layer.weight.data.transpose(2, 3).contiguous()


def flatten_channels_last(training: Training) -> None:
    """The dense layer's weights expect the channels slowest."""
    import torch

    class ChannelsLast(torch.nn.Module):  # type: ignore[misc]
        def forward(self, values: Any) -> Any:
            return values.permute(0, 2, 3, 1).flatten(1)

    training.model.flatten = ChannelsLast()


def drop_first_bias(training: Training) -> None:
    training.model.conv_1.bias = None


def freeze_dense_1(training: Training) -> None:
    training.model.dense_1.requires_grad_(False)


def pool_by_average(training: Training) -> None:
    import torch

    training.model.pool = torch.nn.AvgPool2d(2)


class LabelsOffByOne(DefectiveTorchEngine):
    def load(self, images: Pixels, labels: Labels) -> Data:
        return super().load(images, (labels + np.uint8(1)) % np.uint8(10))


class Bfloat16ForFloat32(DefectiveTorchEngine):
    def open(self, settings: Settings) -> Device:
        return super().open(replace(settings, precision="bfloat16"))


class FallsBackToTheCpu(DefectiveTorchEngine):
    """PyTorch is handed ``cpu`` where a GPU was listed, as when its driver is gone."""

    def open(self, settings: Settings) -> Device:
        places = [(Device("gpu:0", "a GPU without a driver"), "cpu")]
        engine_file.list_places = lambda: places  # type: ignore[attr-defined]
        return super().open(settings)


class ReplaysWithAnotherModel(DefectiveTorchEngine):
    """Gives the losses of a model that is not trained."""

    def replay(self, weights: Weights, batches: Sequence[Batch]) -> List[float]:
        return [super(ReplaysWithAnotherModel, self).replay(weights, [b])[0] for b in batches]


DEFECTS: Dict[str, Callable[[], TorchEngine]] = {
    "none": DefectiveTorchEngine,
    "epsilon 1e-8": lambda: changing_training(set_optimizer(eps=1e-8)),
    "epsilon 1e-6": lambda: changing_training(set_optimizer(eps=1e-6)),
    "learning rate +1 %": lambda: changing_training(set_optimizer(lr=1.01e-3)),
    "learning rate -1 %": lambda: changing_training(set_optimizer(lr=0.99e-3)),
    "no bias correction": lambda: changing_training(leave_bias_correction_off),
    "weight layout swapped": lambda: changing_training(swap_kernel_height_and_width),
    "flatten order swapped": lambda: changing_training(flatten_channels_last),
    "a bias missing": lambda: changing_training(drop_first_bias),
    "a layer not trained": lambda: changing_training(freeze_dense_1),
    "average pooling": lambda: changing_training(pool_by_average),
    "labels off by one": LabelsOffByOne,
    "replay without training": ReplaysWithAnotherModel,
    "bfloat16 for float32": Bfloat16ForFloat32,
    "falls back to the cpu": FallsBackToTheCpu,
}

ENGINE = DEFECTS[os.environ.get("DEFECT", "none")]()
