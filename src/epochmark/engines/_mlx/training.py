"""A training in MLX as its examples write it: arrays, model, optimizer, step, evaluation."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Set, Tuple

import mlx.core as mx
import numpy as np
import numpy.typing as npt
from mlx import nn, optimizers
from mlx.utils import tree_flatten

from epochmark.engines._mlx.devices import default_device_id
from epochmark.engines._mlx.layers import make_model
from epochmark.engines._shared.contract import Inputs, Targets, TrainingState, Weights
from epochmark.engines._shared.inputs import images_nhwc
from epochmark.engines._shared.layouts import nhwc_weights, weights_from_nhwc
from epochmark.workloads import Workload
from epochmark.workloads.spec import SGD, Images, Optimizer

Data = Tuple[npt.NDArray[Any], npt.NDArray[Any]]


def to_arrays(workload: Workload, inputs: Inputs, targets: Targets) -> Data:
    """NumPy arrays: images float32 ``(n, height, width, channels)``, or symbols as they are."""
    if isinstance(workload.input, Images):
        pixels = images_nhwc(workload, inputs).astype(np.float32)
        return pixels / np.float32(workload.input.scale), targets
    return inputs, targets


class Training:
    """Model, optimizer, and the epoch's sums. ``devices``: where the steps' operations ran."""

    def __init__(
        self,
        workload: Workload,
        weights: Weights,
        tuned: Mapping[str, str],
        optimizer: Optional[Optimizer] = None,
    ) -> None:
        self._workload = workload
        self._model = make_model(workload)
        arrays = nhwc_weights(weights)
        self._model.load_weights([(name, mx.array(array)) for name, array in arrays.items()])
        self._optimizer = make_optimizer(optimizer or workload.optimizer)
        self._optimizer.init(self._model.trainable_parameters())
        self._loss_and_gradients = nn.value_and_grad(self._model, self._forward)
        self._loss_sum, self._correct = mx.array(0.0), mx.array(0)
        self.devices: Set[str] = set()
        state = [self._model.state, self._optimizer.state]
        mx.eval(state)
        self._update = self._update_model
        if tuned["compile"] == "on":
            self._update = mx.compile(self._update_model, inputs=state, outputs=state)

    def step(self, inputs: npt.NDArray[Any], targets: npt.NDArray[Any]) -> mx.array:
        """Train on one batch; returns its mean loss before the update."""
        self.devices.add(default_device_id())
        answers = mx.array(targets)
        loss, scores = self._update(mx.array(inputs), answers)
        self._add_to_sums(loss, scores, answers)
        mx.eval(self._model.parameters(), self._optimizer.state, self._loss_sum, self._correct)
        return loss

    def _update_model(self, inputs: mx.array, targets: mx.array) -> Tuple[mx.array, mx.array]:
        """Mean loss and scores of the batch before the update."""
        (loss, scores), gradients = self._loss_and_gradients(inputs, targets)
        self._optimizer.update(self._model, gradients)
        return loss, scores

    def _forward(self, inputs: mx.array, targets: mx.array) -> Tuple[mx.array, mx.array]:
        scores = self._model(inputs)
        return nn.losses.cross_entropy(scores, targets, reduction="mean"), scores

    def _add_to_sums(self, loss: mx.array, scores: mx.array, targets: mx.array) -> None:
        self._loss_sum = self._loss_sum + loss * targets.size
        self._correct = self._correct + (scores.argmax(axis=-1) == targets).sum()

    def evaluate(self, inputs: npt.NDArray[Any], targets: npt.NDArray[Any]) -> None:
        """Add a batch's losses and right answers to the sums, without training on it."""
        answers = mx.array(targets)
        loss, scores = self._forward(mx.array(inputs), answers)
        self._add_to_sums(loss, scores, answers)
        mx.eval(self._loss_sum, self._correct)

    def take_sums(self) -> Tuple[float, float]:
        """The sum of losses and the right answers since the last call: waits for the device."""
        sums = float(self._loss_sum.item()), float(self._correct.item())
        self._loss_sum, self._correct = mx.array(0.0), mx.array(0)
        return sums

    def synchronise(self) -> None:
        """Return when the device has done everything it was given."""
        mx.synchronize()

    def state(self) -> TrainingState:
        """Parameters, moments and the number of steps, copied to host memory."""
        parameters = _copied(self._model.trainable_parameters())
        adam = _copied(self._optimizer.state)
        weights, first, second = (
            weights_from_nhwc(self._workload, {name: arrays[name + end] for name in parameters})
            for arrays, end in ((parameters, ""), (adam, ".m"), (adam, ".v"))
        )
        return TrainingState(weights, first, second, int(self._optimizer.step.item()))


def make_optimizer(constants: Optimizer) -> Any:
    """MLX's own, with these constants."""
    if isinstance(constants, SGD):
        return optimizers.SGD(constants.learning_rate)
    return optimizers.Adam(
        constants.learning_rate,
        betas=[constants.beta_1, constants.beta_2],
        eps=constants.epsilon,
        bias_correction=True,
    )


def _copied(tree: Any) -> Dict[str, npt.NDArray[Any]]:
    """Its arrays by the dotted paths of their names."""
    return {name: np.array(array) for name, array in tree_flatten(tree)}
