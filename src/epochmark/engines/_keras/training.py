"""A training by Keras's ``fit``: how a model is compiled, how laps end, and what Adam keeps."""

from __future__ import annotations

import math
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from epochmark.engines._keras.imported import keras
from epochmark.engines._shared.contract import Settings, Stopwatch
from epochmark.workloads import Workload
from epochmark.workloads.spec import SGD, Optimizer


def compile_model(
    model: Any, workload: Workload, tuned: Mapping[str, str], optimizer: Optimizer
) -> None:
    """As the original script does: Adam, cross-entropy, accuracy."""
    scored = getattr(workload.layers[-1], "activation", None) == "softmax"
    model.compile(
        loss=workload.loss
        if scored
        else keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=make_optimizer(optimizer),
        metrics=["accuracy"],
        **({"jit_compile": True} if tuned.get("jit_compile") == "on" else {}),
    )


def make_optimizer(constants: Optimizer) -> Any:
    """Keras's own, with these constants."""
    if isinstance(constants, SGD):
        return keras.optimizers.SGD(learning_rate=constants.learning_rate)
    return keras.optimizers.Adam(
        learning_rate=constants.learning_rate,
        beta_1=constants.beta_1,
        beta_2=constants.beta_2,
        epsilon=constants.epsilon,
    )


def passes(settings: Settings, samples: int) -> Dict[str, Any]:
    """Arguments of ``fit`` for a training set that is passed once: each epoch goes on in the arrays
    where the last one ended."""
    if settings.workload.passes == "reshuffled":
        return {}
    size = min(settings.workload.train_samples, samples)
    return {"shuffle": False, "steps_per_epoch": math.ceil(size / settings.batch_size)}


def adam_of(model: Any) -> Any:
    """The optimizer; under a float16 policy wrapped in one that scales the loss."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)


def moments_of(model: Any, variables: Sequence[Any]) -> Tuple[List[Any], List[Any]]:
    """Adam's first and second moments of these variables: Keras keeps lists of them in the order of
    the model's, before 2.11 (and in what later versions call legacy) slots by variable."""
    adam = adam_of(model)
    if hasattr(adam, "get_slot"):
        first, second = (
            [adam.get_slot(variable, name) for variable in variables] for name in ("m", "v")
        )
        return first, second
    place = {id(variable): index for index, variable in enumerate(model.trainable_variables)}
    order = [place[id(variable)] for variable in variables]
    first, second = list(adam._momentums), list(adam._velocities)
    return [first[index] for index in order], [second[index] for index in order]


class Laps(keras.callbacks.Callback):  # type: ignore[misc]
    """Ends laps and stops the fit where it should end early.

    Steps are counted in ``on_train_batch_begin``: a callback with ``on_train_batch_end`` makes
    Keras 3 wait for every step, since all others then no longer run beside it. A fit asked to stop
    when a step begins still makes that step.
    """

    def __init__(
        self, settings: Settings, stopwatch: Stopwatch, synchronise: Callable[[], None]
    ) -> None:
        super().__init__()
        self._settings, self._stopwatch, self._wait = settings, stopwatch, synchronise

    def on_train_begin(self, logs: Any = None) -> None:
        self._steps_left = self._settings.max_steps

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._begun = self._reported = 0

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        inside = self._settings.laps_inside_epochs and self._begun > self._reported
        if inside and self._stopwatch.wants_lap():
            self._wait()
            if not self._stopwatch.lap(self._begun - self._reported):
                self.model.stop_training = True
            self._reported = self._begun
        self._begun += 1
        if self._steps_left is not None:
            self._steps_left -= 1
            if self._steps_left == 0:
                self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._wait()
        steps = self._begun - self._reported
        if self._begun < self.params["steps"]:
            self._stopwatch.lap(steps, logs["loss"], logs["accuracy"])
        elif not self._stopwatch.epoch(steps, logs["loss"], logs["accuracy"]):
            self.model.stop_training = True

    def on_train_end(self, logs: Any = None) -> None:
        self._wait()
        self._stopwatch.trained()
