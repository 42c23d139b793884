"""Keras 2.2.4 on PlaidML 0.7.0: the blog post's set-up for AMD GPUs, through OpenCL or Metal.

PlaidML's max pooling hands its gradient to *every* input that equals the maximum, where other
frameworks hand it to one of them, or divide it. On MNIST's black background all four inputs of a
window are equal, so there the convolutions get gradients up to four times as large. The images of
the replay have no such windows (docs/parity.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

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
from epochmark.engines._shared.devices import choose_device
from epochmark.engines._shared.info import EngineInfo, Support, Variables
from epochmark.engines._shared.inputs import evaluation_batch, images_nhwc
from epochmark.engines._shared.requirements import LINUX, MACOS, Requirements
from epochmark.workloads.spec import Images, Optimizer

if TYPE_CHECKING:
    from epochmark.engines._plaidml.devices import Found

Data = Tuple[npt.NDArray[np.float64], Targets]

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
        variables=Variables(
            places=("PLAIDML_DEVICE_IDS", "PLAIDML_EXPERIMENTAL"), switches=("PLAIDML_*",)
        ),
        requirements=REQUIREMENTS,
    )

    def list_devices(self) -> List[Device]:
        return [found.device for found in self._find_devices()]

    def open(self, settings: Settings) -> Device:
        found = self._find_devices()
        device = choose_device(
            "PlaidML", [candidate.device for candidate in found], settings.device
        )
        self._settings = settings
        self._opened = next(candidate for candidate in found if candidate.device == device)
        self._select_device()
        import epochmark.engines._plaidml.keras2  # noqa: F401 - opens the device

        self._check_device()
        return device

    def _find_devices(self) -> List[Found]:
        from epochmark.engines._plaidml.devices import find_devices

        return find_devices()

    def _select_device(self) -> None:
        from epochmark.engines._plaidml.devices import select_device

        select_device(self._opened)

    def _check_device(self) -> None:
        from epochmark.engines._plaidml.devices import check_device

        check_device(self._opened)

    def load(self, inputs: Inputs, targets: Targets) -> Data:
        workload = self._settings.workload
        assert isinstance(workload.input, Images), "all that it offers"
        return images_nhwc(workload, inputs) / workload.input.scale, targets

    def build(self, weights: Weights) -> None:
        self._model = self._new_model(weights)

    def fit(self, data: Data, stopwatch: Stopwatch) -> None:
        from epochmark.engines._plaidml.training import Laps

        images, labels = data
        settings = self._settings
        np.random.seed(settings.seed)  # what Keras shuffles with
        self._model.fit(
            images,
            labels,
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            verbose=0,
            callbacks=[Laps(settings, stopwatch)],
        )

    def observed_devices(self) -> List[str]:
        from epochmark.engines._plaidml.devices import devices_of

        return devices_of(self._model.weights)

    def evaluate(self, inputs: Inputs, targets: Targets) -> Tuple[float, float]:
        images, labels = self.load(inputs, targets)
        size = evaluation_batch(self._settings.workload, images=500)
        loss, accuracy = self._model.evaluate(images, labels, batch_size=size, verbose=0)
        return float(loss), float(accuracy)

    def replay(
        self, weights: Weights, batches: Sequence[Batch], optimizer: Optional[Optimizer] = None
    ) -> List[float]:
        """``train_on_batch`` runs the function that ``fit`` runs once a batch."""
        model = self._new_model(weights, optimizer)
        return [float(model.train_on_batch(*self.load(*batch))[0]) for batch in batches]

    def state(self) -> TrainingState:
        from epochmark.engines._plaidml.training import state_of

        return state_of(self._model, self._settings.workload)

    def effective_settings(self) -> Dict[str, Any]:
        from epochmark.engines._plaidml.keras2 import backend

        return {
            "plaidml_device": self._opened.plaidml_id,
            "plaidml_experimental": self._opened.experimental,
            "keras_backend": backend.backend(),
            "image_data_format": backend.image_data_format(),
            "compute_type": backend.floatx(),
            "max_pool_gradient": "to every equal maximum",
        }

    def _new_model(self, weights: Weights, optimizer: Optional[Optimizer] = None) -> Any:
        from epochmark.engines._plaidml.training import make_model

        workload = self._settings.workload
        return make_model(workload, weights, optimizer or workload.optimizer)


ENGINE = PlaidmlKerasEngine()
