"""PyTorch with one thing wrong: which one, the environment variable ``DEFECT`` says."""

from __future__ import annotations

import functools
import itertools
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np

from epochmark.engines import (
    Batch,
    Device,
    Inputs,
    Settings,
    Stopwatch,
    Targets,
    TrainingState,
    Weights,
)
from epochmark.engines.fake import TYPICAL_LOSSES
from epochmark.engines.torch import TorchEngine
from epochmark.workloads.spec import Optimizer

if TYPE_CHECKING:
    from epochmark.engines._torch.training import Data, Training

STEPS_PER_EPOCH = 469


class DefectiveTorchEngine(TorchEngine):
    """Correct as it stands; the defects below change one method, or one object, of it."""

    info = replace(TorchEngine.info, name="defective-torch")


def changing_training(change: Callable[[Training], None]) -> TorchEngine:
    """An engine whose model or optimizer is changed before the first step."""

    class Changed(DefectiveTorchEngine):
        def _new_training(
            self, weights: Weights, optimizer: Optional[Optimizer] = None
        ) -> Training:
            training = super()._new_training(weights, optimizer)
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


def scale_a_gradient(training: Training) -> None:
    training.model.conv_2.weight.register_hook(lambda gradient: 1.05 * gradient)


def pool_by_average(training: Training) -> None:
    import torch

    training.model.pool = torch.nn.AvgPool2d(2)


# Of a transformer.


def changing_attention(
    mix: Callable[..., Any], heads_last: bool = False
) -> Callable[[Training], None]:
    """``mix`` takes the place of PyTorch's fused causal attention over queries, keys and values of
    shape (n, heads, context, size); the columns of a head lie apart with ``heads_last``."""

    def attend(attention: Any, values: Any) -> Any:
        split = (-1, attention.heads) if heads_last else (attention.heads, -1)
        order = (0, 3, 1, 2) if heads_last else (0, 2, 1, 3)
        parts = (attention.query, attention.key, attention.value)
        mixed = mix(*(part(values).unflatten(-1, split).permute(order) for part in parts))
        return attention.output(mixed.transpose(1, 2).flatten(-2))

    def change(training: Training) -> None:
        for module in training.model.modules():
            if type(module).__name__ == "Attention":
                module.forward = functools.partial(attend, module)

    return change


def mix_softly(query: Any, key: Any, value: Any, ahead: int = 0, power: float = 0.5) -> Any:
    """Attention in which each position also sees ``ahead`` that come after it, and scores are
    divided by a power of the size of a head."""
    import torch

    context, size = query.shape[-2:]
    seen = torch.ones(context, context, dtype=torch.bool).tril(ahead)
    scores = query @ key.transpose(-2, -1) / size**power
    return torch.softmax(scores.masked_fill(~seen, -torch.inf), -1) @ value


def mix_nothing(query: Any, key: Any, value: Any) -> Any:
    """Attention that brings nothing from anywhere, and learns nothing."""
    return 0.0 * (query + key + value)


def use_exact_gelu(training: Training) -> None:
    for module in training.model.modules():
        if type(module).__name__ == "GELU":
            module.approximate = "none"


def use_the_epsilon_of_keras(training: Training) -> None:
    for module in training.model.modules():
        if type(module).__name__ == "LayerNorm":
            module.eps = 1e-3


def untie_the_head(training: Training) -> None:
    import torch

    own = torch.nn.Parameter(training.model.embed.weight.detach().clone())
    (head,) = (one for one in training.model.modules() if type(one).__name__ == "Head")
    head.weight = own
    training.optimizer.add_param_group({"params": [own]})


def shift_positions(training: Training) -> None:
    table = training.model.positions.weight
    table.data = table.data.roll(1, 0)


def scale_gradients(factor: float) -> Callable[[Training], None]:
    """As where a sum is passed for a mean. The losses reported are right."""

    def change(training: Training) -> None:
        for parameter in training.model.parameters():
            parameter.register_hook(lambda gradient: factor * gradient)

    return change


class TargetsNotShifted(DefectiveTorchEngine):
    def load(self, inputs: Inputs, targets: Targets) -> Data:
        return super().load(inputs, inputs)


# Of any network.


class LabelsOffByOne(DefectiveTorchEngine):
    def load(self, inputs: Inputs, targets: Targets) -> Data:
        return super().load(inputs, (targets + np.uint8(1)) % np.uint8(10))


class Bfloat16ForFloat32(DefectiveTorchEngine):
    def open(self, settings: Settings) -> Device:
        return super().open(replace(settings, precision="bfloat16"))


class FallsBackToTheCpu(DefectiveTorchEngine):
    """PyTorch is handed ``cpu`` where a GPU was listed, as when its driver is gone."""

    def open(self, settings: Settings) -> Device:
        from epochmark.engines._torch import devices

        places = [(Device("gpu:0", "a GPU without a driver"), "cpu")]
        devices.list_places = lambda: places
        return super().open(settings)


class ReplaysWithAnotherModel(DefectiveTorchEngine):
    """Gives the losses of a model that is not trained."""

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        replay = super().replay
        return [replay(weights, [batch], optimizer)[0] for batch in batches]


class TrainsNothing(DefectiveTorchEngine):
    """Makes one step, so that Adam has moments, and then invents losses at a good pace."""

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        super().fit((data[0][:128], data[1][:128]), _LetsItEnd())
        for loss in TYPICAL_LOSSES[: self._settings.epochs]:
            time.sleep(0.25)
            if not stopwatch.epoch(STEPS_PER_EPOCH, loss, 0.99):
                return

    def evaluate(self, inputs: Inputs, targets: Targets) -> Tuple[float, float]:
        return 0.03, 0.99


class _LetsItEnd:
    """A stopwatch that ends a fit at its first epoch."""

    def wants_lap(self) -> bool:
        return False

    def lap(self, *ended: Any) -> bool:
        return True

    def epoch(self, *ended: Any) -> bool:
        return False

    def trained(self) -> None:
        pass


class ChangingTheFit(DefectiveTorchEngine):
    """Does in every ``fit`` what it does not in the replay: ``change`` gets the number of the step
    in this call, the step, and its batch."""

    change: Callable[..., Any]

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        training, honest = self._training, self._training.step
        numbers = itertools.count()
        training.step = lambda *batch: self.change(next(numbers), honest, *batch)  # type: ignore
        try:
            super().fit(data, stopwatch)
        finally:
            training.step = honest  # type: ignore[method-assign]


class OneStepOfFour(ChangingTheFit):
    def change(self, number: int, step: Any, images: Any, labels: Any) -> Any:
        """The others only look at the batch."""
        if number % 4 == 0:
            return step(images, labels)
        return self._count_only(images, labels)

    def _count_only(self, images: Any, labels: Any) -> None:
        import torch

        with torch.no_grad():
            logits, loss = self._training.forward(images, labels)
            self._training.count(logits, loss, labels)


class OneStepOfFourCountedAsFour(OneStepOfFour):
    """And lies about the optimizer's counter as well."""

    def _count_only(self, images: Any, labels: Any) -> None:
        super()._count_only(images, labels)
        for state in self._training.optimizer.state.values():
            state["step"] += 1


class EverySecondUpdateLeftOut(OneStepOfFourCountedAsFour):
    def change(self, number: int, step: Any, images: Any, labels: Any) -> Any:
        return step(images, labels) if number % 2 == 0 else self._count_only(images, labels)


class PartOfEachBatch(ChangingTheFit):
    share = 0.9

    def change(self, number: int, step: Any, images: Any, labels: Any) -> Any:
        part = max(1, int(self.share * len(labels)))
        return step(images[:part], labels[:part])


class HalfOfEachBatch(PartOfEachBatch):
    share = 0.5


class Bfloat16InTheFit(ChangingTheFit):
    def change(self, number: int, step: Any, images: Any, labels: Any) -> Any:
        import torch

        training = self._training
        training._low_precision = torch.bfloat16
        try:
            return step(images, labels)
        finally:
            training._low_precision = None


class StaleState(DefectiveTorchEngine):
    """Hands out the same state for ever."""

    def state(self) -> TrainingState:
        self._kept: TrainingState = getattr(self, "_kept", None) or super().state()
        return self._kept


class SwappedMoments(DefectiveTorchEngine):
    def state(self) -> TrainingState:
        state = super().state()
        return replace(state, first=state.second, second=state.first)


class TransposedKernel(DefectiveTorchEngine):
    """Height and width of a kernel swapped: the right shape, the wrong layout."""

    def state(self) -> TrainingState:
        state = super().state()
        kernel = state.weights["conv_2.kernel"].transpose(1, 0, 2, 3)
        return replace(state, weights={**state.weights, "conv_2.kernel": kernel})


class ForeignLayout(DefectiveTorchEngine):
    """PyTorch's own order of axes."""

    def state(self) -> TrainingState:
        state = super().state()
        kernel = state.weights["conv_2.kernel"].transpose(3, 2, 0, 1)
        return replace(state, weights={**state.weights, "conv_2.kernel": kernel})


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
    "no training": TrainsNothing,
    "one step of four": OneStepOfFour,
    "one step of four, counted as four": OneStepOfFourCountedAsFour,
    "every second update left out": EverySecondUpdateLeftOut,
    "90 % of each batch": PartOfEachBatch,
    "half of each batch": HalfOfEachBatch,
    "bfloat16 in the fit": Bfloat16InTheFit,
    "gradient 5 % too large": lambda: changing_training(scale_a_gradient),
    "stale state": StaleState,
    "swapped moments": SwappedMoments,
    "transposed kernel": TransposedKernel,
    "foreign layout": ForeignLayout,
    "attention by hand": lambda: changing_training(changing_attention(mix_softly)),
    "no attention": lambda: changing_training(changing_attention(mix_nothing)),
    "no mask": lambda: changing_training(
        changing_attention(functools.partial(mix_softly, ahead=10_000))
    ),
    "mask off by one": lambda: changing_training(
        changing_attention(functools.partial(mix_softly, ahead=1))
    ),
    "scores divided by the size of a head": lambda: changing_training(
        changing_attention(functools.partial(mix_softly, power=1.0))
    ),
    "heads transposed": lambda: changing_training(changing_attention(mix_softly, heads_last=True)),
    "exact GELU": lambda: changing_training(use_exact_gelu),
    "epsilon of Keras": lambda: changing_training(use_the_epsilon_of_keras),
    "untied head": lambda: changing_training(untie_the_head),
    "positions off by one": lambda: changing_training(shift_positions),
    "targets not shifted": TargetsNotShifted,
    "gradients 1 % too large": lambda: changing_training(scale_gradients(1.01)),
    "mean over sequences only": lambda: changing_training(scale_gradients(16)),
    "sum for mean": lambda: changing_training(scale_gradients(8 * 16)),
}

ENGINE = DEFECTS[os.environ.get("DEFECT", "none")]()
