"""Keras 2.2.4 on PlaidML 0.7.0: the blog post's set-up for AMD GPUs, through OpenCL or Metal.

Both ended in 2020; what they need on a newer Python is given to them here, before their import.

PlaidML's max pooling hands its gradient to *every* input that equals the maximum, where other
frameworks hand it to one of them, or divide it. On MNIST's black background all four inputs of a
window are equal, so there the convolutions get gradients up to four times as large. The images of
the replay have no such windows (docs/parity.md).
"""

from __future__ import annotations

import collections
import collections.abc
import importlib.util
import math
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from epochmark.engines._shared.contract import (
    Batch,
    Device,
    DeviceUnavailableError,
    Engine,
    EngineInfo,
    Labels,
    Pixels,
    Settings,
    Stopwatch,
    Support,
    TrainingState,
    Variables,
    Weights,
)
from epochmark.engines._shared.devices import choose_device
from epochmark.engines._shared.requirements import LINUX, MACOS, Requirements
from epochmark.workloads import Workload
from epochmark.workloads.shapes import parameter_shapes
from epochmark.workloads.spec import Conv2D, Dense, MaxPool2D

DEVICE_IDS = "PLAIDML_DEVICE_IDS"
EXPERIMENTAL = "PLAIDML_EXPERIMENTAL"
SETTINGS = "PLAIDML_SETTINGS"

EVALUATION_BATCH = 500

Data = Tuple[npt.NDArray[np.float64], Labels]

REQUIREMENTS = (
    Requirements(
        pip=("plaidml==0.7.0", "plaidml-keras==0.7.0", "keras==2.2.4"),
        accelerators=("opencl", "cpu"),
        systems=(LINUX,),
        oldest_python=(3, 9),
        download_mb=90,
        installed_mb=330,
        tested="cpu on Linux x86-64, Python 3.11",
    ),
    # its wheel for macOS is for Intel's processors
    Requirements(
        pip=("plaidml==0.7.0", "plaidml-keras==0.7.0", "keras==2.2.4"),
        accelerators=("metal", "opencl", "cpu"),
        systems=(MACOS,),
        oldest_python=(3, 9),
        download_mb=90,
        installed_mb=330,
    ),
)


class PlaidmlKerasEngine(Engine):
    info = EngineInfo(
        name="plaidml-keras",
        title="Keras on PlaidML",
        summary="Keras 2.2.4 on PlaidML 0.7; OpenCL, Metal, CPU",
        family="plaidml-keras",
        adam_form="epsilon_hat",
        devices=(
            Support("cpu", "`llvm_cpu.0`", "x86-64 Linux: Python 3.9, 3.11, 3.13"),
            Support("gpu", "OpenCL, Metal", "neither"),
        ),
        modules=("plaidml.keras", "keras"),
        distributions=("plaidml", "plaidml-keras", "Keras", "numpy"),
        sets_threads=False,
        variables=Variables(places=(DEVICE_IDS, EXPERIMENTAL), switches=("PLAIDML_*",)),
        requirements=REQUIREMENTS,
    )

    _settings: Settings
    _opened: _Found
    _model: Any

    def list_devices(self) -> List[Device]:
        return [found.device for found in _find_devices()]

    def open(self, settings: Settings) -> Device:
        found = _find_devices()
        device = choose_device("PlaidML", [one.device for one in found], settings.device)
        self._settings = settings
        self._opened = next(one for one in found if one.device == device)
        self._select_device()
        _import_keras()
        self._check_device()
        return device

    def _select_device(self) -> None:
        """Tell PlaidML, without its interactive ``plaidml-setup``, which device to open."""
        os.environ[DEVICE_IDS] = self._opened.plaidml_id
        os.environ[EXPERIMENTAL] = str(int(self._opened.experimental))

    def _check_device(self) -> None:
        """Where no device is selected and there is one only, PlaidML opens it without a word."""
        opened, wanted = _backend_device().id, self._opened.plaidml_id
        if opened != wanted:
            raise DeviceUnavailableError(f"PlaidML opened {opened} where {wanted} was asked for")

    def load(self, images: Pixels, labels: Labels) -> Data:
        return images[..., np.newaxis] / self._settings.workload.pixel_scale, labels

    def build(self, weights: Weights) -> None:
        self._model = _make_model(self._settings.workload, weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        images, labels = data
        settings = self._settings
        np.random.seed(settings.seed)  # what Keras shuffles with
        self._model.fit(
            images,
            labels,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            verbose=0,
            callbacks=[_make_laps(settings, stopwatch)],
        )

    def observed_devices(self) -> List[str]:
        """PlaidML's device object keeps the buffers allocated on it: the one that has those of the
        weights, by the id it was opened with."""
        device = _backend_device()
        there = {id(reference()) for reference in device._bufs}
        if not all(id(weight.var.buffer) in there for weight in self._model.weights):
            return ["unknown"]
        found = {one.plaidml_id: one.device.id for one in _find_devices()}
        return [found.get(device.id, device.id)]

    def evaluate(self, images: Pixels, labels: Labels) -> Tuple[float, float]:
        pixels, targets = self.load(images, labels)
        loss, accuracy = self._model.evaluate(
            pixels, targets, batch_size=EVALUATION_BATCH, verbose=0
        )
        return float(loss), float(accuracy)

    def replay(self, weights: Weights, batches: Sequence[Batch]) -> List[float]:
        """``train_on_batch`` runs the function that ``fit`` runs once a batch."""
        model = _make_model(self._settings.workload, weights)
        return [float(model.train_on_batch(*self.load(*batch))[0]) for batch in batches]

    def state(self) -> TrainingState:
        """Keras 2.2.4's Adam has no names for its moments: it keeps its counter, then all the first
        and all the second moments in the order of the weights, then what AMSGrad would need."""
        names = list(parameter_shapes(self._settings.workload))
        count, *moments = self._model.optimizer.get_weights()
        first, second = moments[: len(names)], moments[len(names) : 2 * len(names)]
        return TrainingState(
            weights=dict(zip(names, self._model.get_weights())),
            first=dict(zip(names, first)),
            second=dict(zip(names, second)),
            steps=int(count),
        )

    def effective_settings(self) -> Dict[str, Any]:
        from keras import backend

        return {
            "plaidml_device": self._opened.plaidml_id,
            "plaidml_experimental": self._opened.experimental,
            "keras_backend": backend.backend(),
            "image_data_format": backend.image_data_format(),
            "compute_type": backend.floatx(),
            "max_pool_gradient": "to every equal maximum",
        }


def _make_model(workload: Workload, weights: Weights) -> Any:
    """The workload as a compiled ``Sequential`` that starts from these weights."""
    from keras import layers, models, optimizers

    model = models.Sequential([layers.InputLayer(workload.input_shape)])
    for layer in workload.layers:
        if isinstance(layer, Conv2D):
            model.add(layers.Conv2D(layer.filters, layer.kernel_size, activation=layer.activation))
        elif isinstance(layer, MaxPool2D):
            model.add(layers.MaxPooling2D(layer.size))
        elif isinstance(layer, Dense):
            model.add(layers.Dense(layer.units, activation=layer.activation))
        else:
            model.add(layers.Flatten())
    adam = workload.optimizer
    model.compile(
        loss=workload.loss,
        optimizer=optimizers.Adam(
            lr=adam.learning_rate, beta_1=adam.beta_1, beta_2=adam.beta_2, epsilon=adam.epsilon
        ),
        metrics=["accuracy"],
    )
    model.set_weights([weights[name] for name in parameter_shapes(workload)])
    return model


def _make_laps(settings: Settings, stopwatch: Stopwatch) -> Any:
    """A Keras callback that ends laps.

    Keras 2.2.4 brings loss and accuracy to the host after every batch, so the device is
    synchronised there already, and a lap inside an epoch costs nothing.
    """
    from keras.callbacks import Callback

    class Laps(Callback):  # type: ignore[misc]
        def on_train_begin(self, logs: Any = None) -> None:
            self._steps_left = settings.max_steps
            self._since_lap = 0
            self._first_step, self._interrupted = True, False

        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            self._to_go = math.ceil(self.params["samples"] / settings.batch_size)

        def on_batch_end(self, batch: int, logs: Any = None) -> None:
            self._to_go -= 1
            self._since_lap += 1
            if self._steps_left is not None:
                self._steps_left -= 1
            if self._steps_left == 0:
                self.model.stop_training = True
            elif self._to_go and (self._first_step or stopwatch.wants_lap()):
                self._interrupted = not stopwatch.lap(self._since_lap)
                self._since_lap = 0
                self.model.stop_training = self._interrupted
            self._first_step = False

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            if self._interrupted:
                return
            steps, self._since_lap = self._since_lap, 0
            if self._to_go:
                stopwatch.lap(steps, logs["loss"], logs["acc"])
            elif not stopwatch.epoch(steps, logs["loss"], logs["acc"]):
                self.model.stop_training = True

    return Laps()


@dataclass(frozen=True)
class _Found:
    """A device as we and as PlaidML call it, and whether only its experimental configuration
    accepts it."""

    device: Device
    plaidml_id: str
    experimental: bool


def _find_devices() -> List[_Found]:
    """All devices PlaidML has here, those its default configuration accepts first.

    Without ``libOpenCL.so`` PlaidML lists its CPU only, and says nothing.
    """
    plaidml = _import_plaidml()
    kept = {name: os.environ.pop(name, None) for name in (DEVICE_IDS, EXPERIMENTAL)}
    found: Dict[str, _Found] = {}
    counts: Dict[str, int] = {"cpu": 0, "gpu": 0}
    try:
        for experimental in (False, True):
            plaidml.settings.experimental = experimental
            usable, _ = plaidml.devices(plaidml.Context(), limit=100, return_all=True)
            for config in usable:
                plaidml_id = config.id.decode()
                if plaidml_id in found:
                    continue
                kind = "cpu" if "_cpu" in plaidml_id else "gpu"
                our_id = "cpu" if kind == "cpu" and not counts[kind] else f"{kind}:{counts[kind]}"
                counts[kind] += 1
                description = f"{plaidml_id}, {config.description.decode()}"
                found[plaidml_id] = _Found(Device(our_id, description), plaidml_id, experimental)
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    return list(found.values())


def _import_plaidml() -> Any:
    """PlaidML, quiet, with devices that remember the id they were opened with.

    ``PLAIDML_SETTINGS`` points away from ``~/.plaidml``, where ``plaidml-setup`` leaves a device
    and switches, and without which PlaidML says that it is not configured.
    """
    with tempfile.TemporaryDirectory(prefix="epochmark-plaidml-") as folder:
        settings = Path(folder) / "settings.json"
        settings.write_text("{}")
        os.environ.setdefault(SETTINGS, str(settings))
        import plaidml

    plaidml.quiet()
    if not hasattr(plaidml.Device, "id"):

        class RememberingDevice(plaidml.Device):  # type: ignore[misc]
            id = ""

            def __init__(self, context: Any, config: Any) -> None:
                super().__init__(context, config)
                self.id = config.id.decode()

        plaidml.Device = RememberingDevice
    return plaidml


def _backend_device() -> Any:
    """The device on which the Keras backend allocates and computes everything."""
    from plaidml.keras import backend

    return backend._device()


def _import_keras() -> None:
    """Import Keras with PlaidML as its backend, on today's Python too.

    ``KERAS_HOME`` points away from the user's home: a keras.json there, which a newer Keras may
    have written, could change precision or layout, and without one Keras would write one.
    """
    os.environ["KERAS_BACKEND"] = "plaidml.keras.backend"
    if not hasattr(collections, "Iterable"):  # gone with Python 3.10; keras/callbacks.py wants it
        collections.Iterable = collections.abc.Iterable  # type: ignore[attr-defined]
    import plaidml.keras

    finder = plaidml.keras._PlaidMLBackendFinder
    if not hasattr(finder, "find_spec"):  # find_module is not asked any more from Python 3.12 on
        finder.find_spec = _find_spec
        finder.create_module = lambda self, spec: self.load_module(spec.name)
        finder.exec_module = lambda self, module: None
    with tempfile.TemporaryDirectory(prefix="epochmark-keras-") as folder:
        os.environ["KERAS_HOME"] = folder
        plaidml.keras.install_backend()
        from keras import backend
    if backend.backend() != "plaidml":
        raise RuntimeError(f"Keras has the backend {backend.backend()}, not plaidml")


def _find_spec(finder: Any, name: str, path: Any = None, target: Any = None) -> Any:
    """What PlaidML's ``find_module`` finds, as the import system asks since Python 3.4."""
    found = finder.find_module(name, path) is not None
    return importlib.util.spec_from_loader(name, finder, is_package=True) if found else None


ENGINE = PlaidmlKerasEngine()
