"""What the Keras engines share: the model of the original script, ``fit``, and how laps are taken.

Stock here is that script: NumPy arrays in float64, as dividing by 255.0 makes them, and one call of
``Sequential.fit``. Of a full run only whole epochs are timed, by a callback: Keras reads the
epoch's loss and accuracy off the device there anyway.
"""

from __future__ import annotations

import contextlib
import json
import os
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, ContextManager, Dict, List, Mapping, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from epochmark.engines._shared.contract import (
    Batch,
    Device,
    Engine,
    Labels,
    Pixels,
    Settings,
    Stopwatch,
    TrainingState,
    Tunable,
    Weights,
)
from epochmark.workloads.shapes import parameter_shapes
from epochmark.workloads.spec import Adam

Data = Tuple[npt.NDArray[np.float64], Labels]

EVALUATION_BATCH = 1000

POLICIES = {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Keras's policies for training in reduced precision; all else computes in float32."""

KERAS_DEFAULTS = {
    "floatx": "float32",
    "epsilon": 1e-7,
    "image_data_format": "channels_last",
    "nnx_enabled": False,
}
"""What Keras takes where no keras.json says otherwise, of all it looks for there."""

ARRAYS = Tunable(
    "arrays", ("float64", "float32"), "type of the images given to `fit`, which converts to float32"
)


def layout_on(*device_kinds: str) -> Tunable:
    """Where NCHW is worth a try."""
    return Tunable(
        "layout",
        ("channels_last", "channels_first"),
        "order of images and activations, NHWC or NCHW; flattened in one and the same order",
        device_kinds,
    )


class KerasEngine(Engine):
    """``Sequential.fit`` on one back end of Keras; a subclass knows that back end's devices."""

    backend: ClassVar[str]

    def open(self, settings: Settings) -> Device:
        os.environ["KERAS_BACKEND"] = self.backend
        self._settings = settings
        device = self._open_backend(settings)
        self._tuned = self.info.all_settings(device.id, settings.tuned_settings)
        keras = self._keras = self._import_keras()
        self._set_seed(settings.seed)
        if settings.precision in POLICIES:
            keras.mixed_precision.set_global_policy(POLICIES[settings.precision])
        return device

    def user_settings(self) -> Dict[str, str]:
        return keras_json()

    def load(self, images: Pixels, labels: Labels) -> Data:
        pixels = images[..., np.newaxis] / self._settings.workload.pixel_scale
        if self._channels_first():
            pixels = np.moveaxis(pixels, -1, 1)
        return pixels.astype(self._tuned.get("arrays", "float64"), copy=False), labels

    def build(self, weights: Weights) -> None:
        self._model = self._new_model(weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        self._model.fit(
            **self._fed(data),
            epochs=self._settings.epochs,
            verbose=0,
            callbacks=[make_laps(self._keras, self._settings, stopwatch, self._synchronise)],
        )

    def _fed(self, data: Data) -> Dict[str, Any]:
        """How ``fit`` gets its batches: arrays, of which Keras makes a pipeline of its own."""
        images, labels = data
        return {"x": images, "y": labels, "batch_size": self._settings.batch_size}

    def observed_devices(self) -> List[str]:
        """Where the weights, the optimizer's step counter and the outputs for one image are."""
        model = self._model
        outputs = self._call(model, np.zeros((1, *model.input_shape[1:]), np.float32))
        variables = [*model.weights, model.optimizer.iterations]
        return sorted({self._device_of(tensor) for tensor in (*variables, outputs)})

    def evaluate(self, images: Pixels, labels: Labels) -> Tuple[float, float]:
        pixels, targets = self.load(images, labels)
        loss, accuracy = self._model.evaluate(
            pixels, targets, batch_size=EVALUATION_BATCH, verbose=0
        )
        return float(loss), float(accuracy)

    def replay(self, weights: Weights, batches: Sequence[Batch]) -> List[float]:
        """``train_on_batch`` runs the function that ``fit`` runs once a batch."""
        model = self._new_model(weights)
        return [float(model.train_on_batch(*self.load(*batch))[0]) for batch in batches]

    def state(self) -> TrainingState:
        """What variables hold, float32 under a mixed policy too."""
        variables = self._model.trainable_variables
        adam = getattr(self._model.optimizer, "inner_optimizer", self._model.optimizer)
        first, second = moments_of(adam, variables)
        return TrainingState(
            weights=self._copied(variables),
            first=self._copied(first),
            second=self._copied(second),
            steps=int(adam.iterations.numpy()),
        )

    def _copied(self, variables: Sequence[Any]) -> Dict[str, npt.NDArray[np.float32]]:
        names = parameter_shapes(self._settings.workload)
        return {name: np.array(one.numpy()) for name, one in zip(names, variables)}

    def effective_settings(self) -> Dict[str, Any]:
        model = self._model
        return {
            "execution": "eager" if model.run_eagerly else "compiled train step",
            "jit_compile": getattr(model, "jit_compile", "no such setting"),
            "policy": self._keras.mixed_precision.global_policy().name,
            "compute_type": self._compute_type(),
            "layout": self._tuned.get("layout", "channels_last"),
            "data": f"NumPy {self._tuned.get('arrays', 'float64')} arrays to fit",
        }

    def _compute_type(self) -> str:
        """That of the policy; of float64 what came of it, since JAX leaves it at float32."""
        named = str(self._model.layers[0].compute_dtype)
        return str(self._model.get_weights()[0].dtype) if named == "float64" else named

    def _new_model(self, weights: Weights) -> Any:
        with self._scope():
            model = make_model(self._keras, self._settings.workload.optimizer, self._tuned)
            model.set_weights([weights[name] for name in parameter_shapes(self._settings.workload)])
        return model

    def _channels_first(self) -> bool:
        return self._tuned.get("layout") == "channels_first"

    def _scope(self) -> ContextManager[Any]:
        """Where a back end wants models to be made in a context of its own."""
        return contextlib.nullcontext()

    def _call(self, model: Any, images: npt.NDArray[np.float32]) -> Any:
        """The model's outputs, where it computes them."""
        return model(images)

    def _set_seed(self, seed: int) -> None:
        """Only the order of the images is left to chance: the weights are given."""
        self._keras.utils.set_random_seed(seed)

    @abstractmethod
    def _open_backend(self, settings: Settings) -> Device:
        """Import the back end's framework and set it up: device, threads, precision of float32."""

    @abstractmethod
    def _import_keras(self) -> Any:
        """The ``keras`` module."""

    @abstractmethod
    def _synchronise(self) -> None:
        """Return when the device has done everything it was given."""

    @abstractmethod
    def _device_of(self, tensor: Any) -> str:
        """Id of the device where a variable or an output of the model is."""


def keras_json() -> Dict[str, str]:
    """What the user's keras.json sets otherwise than Keras does without it; the back end is ours to
    choose, whatever it says."""
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    try:
        text = (Path(home).expanduser() / "keras.json").read_text("utf-8")
        said = json.loads(text)
    except (OSError, RuntimeError, ValueError):  # Keras passes over what it cannot read
        return {}
    if not isinstance(said, dict):
        return {"keras.json": "not a list of settings"}
    others = [
        f"{name} {str(said[name])[:40]}"
        for name, value in KERAS_DEFAULTS.items()
        if name in said and (said[name] != value or type(said[name]) is not type(value))
    ]
    return {"keras.json": ", ".join(others)} if others else {}


def make_model(keras: Any, adam: Adam, tuned: Mapping[str, str]) -> Any:
    """The original script's model, compiled as it does.

    Under a mixed policy the last layer computes in float32, as Keras's guide to mixed precision
    demands of a softmax. ``tuned`` are the values of the engine's tunables.
    """
    layers = keras.layers
    layout = tuned.get("layout", "channels_last")
    first = layout == "channels_first"
    model = keras.Sequential(
        [
            keras.Input(shape=(1, 28, 28) if first else (28, 28, 1)),
            layers.Conv2D(32, (3, 3), activation="relu", data_format=layout),
            layers.Conv2D(64, (3, 3), activation="relu", data_format=layout),
            layers.MaxPooling2D((2, 2), data_format=layout),
            *([layers.Permute((2, 3, 1))] if first else []),
            layers.Flatten(data_format="channels_last"),  # whatever the user's default is
            layers.Dense(128, activation="relu"),
            layers.Dense(10, activation="softmax", dtype="float32"),
        ]
    )
    model.compile(
        loss="sparse_categorical_crossentropy",
        optimizer=keras.optimizers.Adam(
            learning_rate=adam.learning_rate,
            beta_1=adam.beta_1,
            beta_2=adam.beta_2,
            epsilon=adam.epsilon,
        ),
        metrics=["accuracy"],
        **({"jit_compile": True} if tuned.get("jit_compile") == "on" else {}),
    )
    return model


def moments_of(adam: Any, variables: Sequence[Any]) -> Tuple[List[Any], List[Any]]:
    """Adam's first and second moments of these variables: Keras keeps lists of them, before 2.11
    (and in what later versions call legacy) slots by variable."""
    if hasattr(adam, "get_slot"):
        first, second = ([adam.get_slot(one, name) for one in variables] for name in ("m", "v"))
        return first, second
    return list(adam._momentums), list(adam._velocities)


def make_laps(keras: Any, settings: Settings, stopwatch: Stopwatch, synchronise: Any) -> Any:
    """The callback that ends laps and stops the fit where it should end early.

    Steps are counted in ``on_train_batch_begin``: a callback with ``on_train_batch_end`` makes
    Keras 3 wait for every step, since all others then no longer run beside it. A fit told to stop
    when a step begins still makes that step.
    """

    class Laps(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            self._steps_left = settings.max_steps

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._begun = self._reported = 0

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if settings.quick and self._begun > self._reported and stopwatch.wants_lap():
                synchronise()
                if not stopwatch.lap(self._begun - self._reported):
                    self.model.stop_training = True
                self._reported = self._begun
            self._begun += 1
            if self._steps_left is not None:
                self._steps_left -= 1
                if self._steps_left == 0:
                    self.model.stop_training = True

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            synchronise()
            steps = self._begun - self._reported
            if self._begun < self.params["steps"]:
                stopwatch.lap(steps, logs["loss"], logs["accuracy"])
            elif not stopwatch.epoch(steps, logs["loss"], logs["accuracy"]):
                self.model.stop_training = True

        def on_train_end(self, logs: Any = None) -> None:
            synchronise()
            stopwatch.trained()

    return Laps()
