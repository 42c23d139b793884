"""A training in tinygrad: arrays, model, optimizer, one TinyJit step, evaluation."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt
from tinygrad import Device as Devices
from tinygrad import Tensor, TinyJit, nn
from tinygrad.helpers import Context

from epochmark.engines._shared.contract import Inputs, Targets, TrainingState, Weights
from epochmark.engines._shared.inputs import images_nchw
from epochmark.engines._shared.layouts import Arrays, nchw_weights, weights_from_nchw
from epochmark.engines._tinygrad.layers import make_layers
from epochmark.workloads import Workload
from epochmark.workloads.spec import SGD, Images, Optimizer

MOST_STEPS = 80_000
"""Below the some 87,000 after which float32 has no normal number for that power of 0.999."""

Data = Tuple[npt.NDArray[Any], npt.NDArray[np.int32]]


def to_arrays(workload: Workload, inputs: Inputs, targets: Targets) -> Data:
    """NumPy arrays: images float32 ``(n, channels, height, width)``, or symbols int32 ``(n,
    context)``; and int32 targets."""
    answers = targets.astype(np.int32)
    if isinstance(workload.input, Images):
        pixels = images_nchw(workload, inputs).astype(np.float32)
        return pixels / np.float32(workload.input.scale), answers
    return inputs.astype(np.int32), answers


class Training:
    """Model, optimizer, and the epoch's sums, all on one device; steps are compiled on first use.

    TinyJit takes one shape of input, so the smaller last batch of an epoch has a step of its own.
    """

    def __init__(
        self,
        workload: Workload,
        weights: Weights,
        device: str,
        fused: bool,
        optimizer: Optional[Optimizer] = None,
    ) -> None:
        self._workload, self._device = workload, device
        self._parameters = {
            name: Tensor(array, device=device).realize()
            for name, array in nchw_weights(workload, weights).items()
        }
        self._layers = make_layers(workload, self._parameters)
        self._optimizer = make_optimizer(
            optimizer or workload.optimizer, list(self._parameters.values()), fused
        )
        self._loss_sum = Tensor.zeros((), device=device).contiguous().realize()
        self._correct = Tensor.zeros((), device=device).contiguous().realize()
        self._steps: Dict[Tuple[int, ...], Callable[[Any, Any], Any]] = {}

    def step(self, inputs: npt.NDArray[Any], targets: npt.NDArray[np.int32]) -> Any:
        """Train on one batch; returns its mean loss before the update, still on the device."""
        if targets.shape not in self._steps:
            self._steps[targets.shape] = TinyJit(self._train_step)
        return self._steps[targets.shape](
            Tensor(inputs, device=self._device), Tensor(targets, device=self._device)
        )

    def _train_step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        with Context(TRAINING=1):
            self._optimizer.zero_grad()
            scores = inputs.sequential(self._layers)
            loss = scores.sparse_categorical_crossentropy(targets).backward()
            sums = self._add_to_sums(loss, scores, targets)
            return loss.realize(*sums, *self._optimizer.schedule_step())

    def _add_to_sums(self, loss: Tensor, scores: Tensor, targets: Tensor) -> Tuple[Tensor, Tensor]:
        correct = (scores.argmax(axis=-1) == targets).sum()
        return (
            self._loss_sum.assign(self._loss_sum + loss.detach() * targets.numel()),
            self._correct.assign(self._correct + correct),
        )

    def evaluate(self, inputs: npt.NDArray[Any], targets: npt.NDArray[np.int32]) -> None:
        """Add a batch's losses and right answers to the sums, without training on it."""
        answers = Tensor(targets, device=self._device)
        scores = Tensor(inputs, device=self._device).sequential(self._layers)
        loss = scores.sparse_categorical_crossentropy(answers)
        Tensor.realize(*self._add_to_sums(loss, scores, answers))

    def take_sums(self) -> Tuple[float, float]:
        """The sum of losses and the right answers since the last call: waits for the device."""
        sums = float(self._loss_sum.item()), float(self._correct.item())
        self._loss_sum.assign(0.0).realize()
        self._correct.assign(0.0).realize()
        return sums

    def synchronise(self) -> None:
        """Return when the device has done everything it was given."""
        Devices[self._device].synchronize()

    def tensors(self) -> List[Tensor]:
        """Everything that training writes: parameters and the sums of its outputs."""
        return [*self._optimizer.params, self._loss_sum, self._correct]

    def state(self) -> TrainingState:
        """Parameters, moments and the number of steps, copied to host memory."""
        adam = self._optimizer
        weights, first, second = (
            weights_from_nchw(self._workload, self._named(tensors))
            for tensors in (adam.params, adam.m, adam.v)
        )
        return TrainingState(weights, first, second, self._steps_made())

    def _named(self, tensors: Sequence[Tensor]) -> Arrays:
        """Of one tensor for each parameter, or of fused Adam's one for all of them end to end."""
        flat = np.concatenate([tensor.numpy().ravel() for tensor in tensors])
        ends = np.cumsum([parameter.numel() for parameter in self._parameters.values()])
        parts = zip(self._parameters.items(), np.split(flat, ends[:-1]))
        return {name: part.reshape(parameter.shape) for (name, parameter), part in parts}

    def _steps_made(self) -> Optional[int]:
        """tinygrad keeps no counter but a power of Adam's beta 2, one factor a step, in float32:
        the exponent, as long as float32 holds that power."""
        power = self._optimizer.b2_t.numpy().item()
        factors = np.full(MOST_STEPS, self._optimizer.b2, np.float32)
        steps = int(np.count_nonzero(np.multiply.accumulate(factors) >= power))
        return steps if steps < MOST_STEPS else None


def make_optimizer(constants: Optimizer, parameters: List[Tensor], fused: bool) -> Any:
    """tinygrad's own, with these constants; ``fused``: all parameters in one array."""
    if isinstance(constants, SGD):
        return nn.optim.SGD(parameters, lr=constants.learning_rate, fused=fused)
    return nn.optim.Adam(
        parameters,
        lr=constants.learning_rate,
        b1=constants.beta_1,
        b2=constants.beta_2,
        eps=constants.epsilon,
        fused=fused,
    )
