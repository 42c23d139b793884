"""What the Keras engines share: ``fit`` of the original script's model, or of another workload's.

Stock here is that script: NumPy arrays in float64, as dividing by 255.0 makes them, and one call of
``fit``. Of a full run only whole epochs are timed, by a callback: Keras reads the epoch's loss and
accuracy off the device there anyway.
"""

from __future__ import annotations

import contextlib
import os
from abc import abstractmethod
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    ContextManager,
    Dict,
    List,
    Mapping,
    Optional,
    Sequence,
    Tuple,
)

import numpy as np
import numpy.typing as npt

from epochmark.engines._keras.settings import keras_json
from epochmark.engines._shared.contract import (
    Batch,
    Device,
    Engine,
    Inputs,
    Settings,
    Stopwatch,
    Targets,
    TrainingState,
    Weights,
)
from epochmark.engines._shared.info import Tunable
from epochmark.engines._shared.inputs import (
    blank_sample,
    blank_targets,
    evaluation_batch,
    images_nhwc,
    layout_of,
)
from epochmark.workloads.shapes import parameter_shapes
from epochmark.workloads.spec import Images, Optimizer, Shape

if TYPE_CHECKING:
    from epochmark.engines._keras.layers import Model

Data = Tuple[npt.NDArray[Any], npt.NDArray[Any]]

POLICIES = {"bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Keras's policies for training in reduced precision; all else computes in float32."""

ARRAYS = Tunable(
    "arrays",
    ("float64", "float32"),
    "type of the images given to `fit`, which converts to float32",
    word="Images",
)


def layout_on(*device_kinds: str) -> Tunable:
    """Where NCHW is worth a try."""
    return Tunable(
        "layout",
        ("channels_last", "channels_first"),
        "order of images and activations, NHWC or NCHW; flattened in one and the same order",
        device_kinds,
        word="Conv2D",
    )


class KerasEngine(Engine):
    """``fit`` on one back end of Keras; a subclass knows that back end's devices."""

    backend: ClassVar[str]

    def open(self, settings: Settings) -> Device:
        os.environ["KERAS_BACKEND"] = self.backend
        self._settings = settings
        device = self._open_backend(settings)
        self._tuned = self.info.all_settings(device.id, settings.tuned_settings, settings.workload)
        from epochmark.engines._keras.imported import keras

        self._keras = keras
        self._set_seed(settings.seed)
        if settings.precision in POLICIES:
            keras.mixed_precision.set_global_policy(POLICIES[settings.precision])
        return device

    def user_settings(self) -> Dict[str, str]:
        return keras_json()

    def load(self, inputs: Inputs, targets: Targets) -> Data:
        workload = self._settings.workload
        if not isinstance(workload.input, Images):
            return inputs.astype(np.int32), targets.astype(np.int32)
        pixels = images_nhwc(workload, inputs) / workload.input.scale
        if self._channels_first():
            pixels = np.moveaxis(pixels, -1, 1)
        return pixels.astype(self._tuned.get("arrays", "float64"), copy=False), targets

    def build(self, weights: Weights) -> None:
        made = self._new_model(weights, self._settings.workload.input_shape)
        self._model, self._variables = made.keras, made.variables

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        from epochmark.engines._keras.training import Laps, passes

        self._model.fit(
            **self._fed(data),
            epochs=self._settings.epochs,
            verbose=0,
            callbacks=[Laps(self._settings, stopwatch, self._synchronise)],
            **passes(self._settings, len(data[1])),
        )

    def _fed(self, data: Data) -> Dict[str, Any]:
        """How ``fit`` gets its batches: arrays, of which Keras makes a pipeline of its own."""
        inputs, targets = data
        return {"x": inputs, "y": targets, "batch_size": self._settings.batch_size}

    def observed_devices(self) -> List[str]:
        """Where the weights, the optimizer's step counter and the outputs for one sample are."""
        model, workload = self._model, self._settings.workload
        inputs, _ = self.load(blank_sample(workload), blank_targets(workload))
        if isinstance(workload.input, Images):
            inputs = inputs.astype(np.float32)  # as `fit` converts them
        outputs = self._call(model, inputs)
        variables = [*model.weights, model.optimizer.iterations]
        return sorted({self._device_of(tensor) for tensor in (*variables, outputs)})

    def evaluate(self, inputs: Inputs, targets: Targets) -> Tuple[float, float]:
        samples, answers = self.load(inputs, targets)
        loss, accuracy = self._model.evaluate(
            samples,
            answers,
            batch_size=evaluation_batch(self._settings.workload, images=1000),
            verbose=0,
        )
        return float(loss), float(accuracy)

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        """``train_on_batch`` runs the function that ``fit`` runs once a batch."""
        workload = self._settings.workload
        images = isinstance(workload.input, Images)
        shape = workload.input_shape if images else batches[0][0].shape[1:]
        model = self._new_model(weights, shape, optimizer).keras
        return [float(model.train_on_batch(*self.load(*batch))[0]) for batch in batches]

    def state(self) -> TrainingState:
        """What variables hold, float32 under a mixed policy too."""
        from epochmark.engines._keras.training import adam_of, moments_of

        model, variables = self._model, self._variables
        first, second = moments_of(model, list(variables.values()))
        return TrainingState(
            weights=self._copied(variables),
            first=self._copied(dict(zip(variables, first))),
            second=self._copied(dict(zip(variables, second))),
            steps=int(adam_of(model).iterations.numpy()),
        )

    def _copied(self, variables: Mapping[str, Any]) -> Dict[str, npt.NDArray[np.float32]]:
        return {
            name: np.array(variables[name].numpy()).reshape(shape)
            for name, shape in parameter_shapes(self._settings.workload).items()
        }

    def effective_settings(self) -> Dict[str, Any]:
        model, workload = self._model, self._settings.workload
        images = isinstance(workload.input, Images)
        arrays = self._tuned.get("arrays", "float64") if images else "int32"
        return {
            "execution": "eager" if model.run_eagerly else "compiled train step",
            "jit_compile": getattr(model, "jit_compile", "no such setting"),
            "policy": self._keras.mixed_precision.global_policy().name,
            "compute_type": self._compute_type(),
            **layout_of(workload, self._tuned.get("layout", "channels_last")),
            "data": f"NumPy {arrays} arrays to fit",
        }

    def _compute_type(self) -> str:
        """That of the policy; of float64 what came of it, since JAX leaves it at float32."""
        model = self._model
        first = next(layer for layer in model.layers if layer.trainable_variables)
        named = str(first.compute_dtype)
        return str(model.get_weights()[0].dtype) if named == "float64" else named

    def _new_model(
        self, weights: Weights, input_shape: Shape, optimizer: Optional[Optimizer] = None
    ) -> Model:
        from epochmark.engines._keras.layers import make_model
        from epochmark.engines._keras.training import compile_model

        workload = self._settings.workload
        with self._scope():
            model = make_model(workload, self._tuned, input_shape)
            compile_model(model.keras, workload, self._tuned, optimizer or workload.optimizer)
            model.set_weights(weights)
        return model

    def _channels_first(self) -> bool:
        return self._tuned.get("layout") == "channels_first"

    def _scope(self) -> ContextManager[Any]:
        """Where a back end wants models to be made in a context of its own."""
        return contextlib.nullcontext()

    def _call(self, model: Any, inputs: npt.NDArray[Any]) -> Any:
        """The model's outputs, where it computes them."""
        return model(inputs)

    def _set_seed(self, seed: int) -> None:
        """Only the order of the samples is left to chance: the weights are given."""
        self._keras.utils.set_random_seed(seed)

    @abstractmethod
    def _open_backend(self, settings: Settings) -> Device:
        """Import the back end's framework and set it up: device, threads, precision of float32."""

    @abstractmethod
    def _synchronise(self) -> None:
        """Return when the device has done everything it was given."""

    @abstractmethod
    def _device_of(self, tensor: Any) -> str:
        """Id of the device where a variable or an output of the model is."""
