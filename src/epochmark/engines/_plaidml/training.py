"""A training by the ``fit`` of Keras 2.2.4: model, laps, state."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, Type

from epochmark.engines._plaidml.keras2 import callbacks, layers, models, optimizers
from epochmark.engines._shared.contract import Settings, Stopwatch, TrainingState, Weights
from epochmark.workloads import Workload
from epochmark.workloads.shapes import parameter_shapes
from epochmark.workloads.spec import SGD, Conv2D, Dense, Flatten, MaxPool2D, Optimizer

LAYERS: Dict[Type[Any], Callable[[Any], Any]] = {
    Conv2D: lambda word: layers.Conv2D(word.filters, word.kernel_size, activation=word.activation),
    MaxPool2D: lambda word: layers.MaxPooling2D(word.size),
    Flatten: lambda word: layers.Flatten(),
    Dense: lambda word: layers.Dense(word.units, activation=word.activation),
}


def make_model(workload: Workload, weights: Weights, optimizer: Optimizer) -> Any:
    """The workload as a compiled ``Sequential`` that starts from these weights."""
    stack = [LAYERS[type(word)](word) for word in workload.layers]
    model = models.Sequential([layers.InputLayer(workload.input_shape), *stack])
    model.compile(loss=workload.loss, optimizer=make_optimizer(optimizer), metrics=["accuracy"])
    model.set_weights([weights[name] for name in parameter_shapes(workload)])
    return model


def make_optimizer(constants: Optimizer) -> Any:
    """That of Keras 2, with these constants."""
    if isinstance(constants, SGD):
        # Plain SGD is one subtraction, which PlaidML fuses into the product that makes the gradient
        # of a wide layer: its weights are new before the gradient of the layer below is made from
        # them. Nesterov's form is not fused, and without momentum it is plain SGD.
        return optimizers.SGD(lr=constants.learning_rate, nesterov=True)
    return optimizers.Adam(
        lr=constants.learning_rate,
        beta_1=constants.beta_1,
        beta_2=constants.beta_2,
        epsilon=constants.epsilon,
    )


def state_of(model: Any, workload: Workload) -> TrainingState:
    """Keras 2.2.4's Adam has no names for its moments: it keeps its counter, then all the first and
    all the second moments in the order of the weights, then what AMSGrad would need."""
    names = list(parameter_shapes(workload))
    count, *moments = model.optimizer.get_weights()
    first, second = moments[: len(names)], moments[len(names) : 2 * len(names)]
    return TrainingState(
        weights=dict(zip(names, model.get_weights())),
        first=dict(zip(names, first)),
        second=dict(zip(names, second)),
        steps=int(count),
    )


class Laps(callbacks.Callback):  # type: ignore[misc]
    """Ends laps.

    Keras 2.2.4 brings loss and accuracy to the host after every batch, so the device is
    synchronised there already, and a lap inside an epoch costs nothing.
    """

    def __init__(self, settings: Settings, stopwatch: Stopwatch) -> None:
        super().__init__()
        self._settings, self._stopwatch = settings, stopwatch

    def on_train_begin(self, logs: Any = None) -> None:
        self._steps_left = self._settings.max_steps
        self._since_lap = 0
        self._first_step, self._interrupted = True, False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._to_go = math.ceil(self.params["samples"] / self._settings.batch_size)

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        self._to_go -= 1
        self._since_lap += 1
        if self._steps_left is not None:
            self._steps_left -= 1
        if self._steps_left == 0:
            self.model.stop_training = True
        elif self._to_go and (self._first_step or self._stopwatch.wants_lap()):
            self._interrupted = not self._stopwatch.lap(self._since_lap)
            self._since_lap = 0
            self.model.stop_training = self._interrupted
        self._first_step = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if self._interrupted:
            return
        steps, self._since_lap = self._since_lap, 0
        if self._to_go:
            self._stopwatch.lap(steps, logs["loss"], logs["acc"])
        elif not self._stopwatch.epoch(steps, logs["loss"], logs["acc"]):
            self.model.stop_training = True
