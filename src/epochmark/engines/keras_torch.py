"""Keras 3 on PyTorch."""

from __future__ import annotations

import os
from typing import Any, Dict, List

from epochmark.engines._shared.builds import TORCH_BUILDS
from epochmark.engines._shared.contract import (
    Device,
    EngineInfo,
    Operations,
    Settings,
    Support,
    Tunable,
)
from epochmark.engines._shared.devices import choose_device, refuse_precision
from epochmark.engines._shared.on_keras import ARRAYS, KerasEngine, layout_on
from epochmark.engines._shared.on_torch import (
    TORCH_GPUS,
    allow_tf32,
    device_id,
    has_tf32,
    list_places,
    operations_on,
    synchronise,
    use_all_cpus,
)
from epochmark.engines._shared.requirements import TORCH


class KerasTorchEngine(KerasEngine):
    info = EngineInfo(
        name="keras-torch",
        title="Keras on PyTorch",
        summary="Keras 3 on PyTorch",
        family="keras-torch",
        adam_form="epsilon_hat",
        devices=(
            Support("cpu", "PyTorch", "x86-64 Linux: PyTorch 2.13 with Keras 3.15"),
            Support("gpu", TORCH_GPUS, "none of them"),
            Support(
                "tpu",
                "not offered: Keras's PyTorch back end never ends a step of XLA's lazy tensors",
                seen="",
                offered=False,
            ),
        ),
        modules=("keras", "torch"),
        distributions=("keras", "torch", "numpy"),
        requirements=TORCH,
        builds=TORCH_BUILDS,
        precisions=("stock", "float32", "tf32", "bfloat16", "float16"),
        tunables=(
            layout_on("cpu", "gpu"),
            ARRAYS,
            Tunable(
                "threads",
                ("default", "all"),
                "one thread for each usable CPU, where PyTorch takes fewer (hyper-threads)",
                ("cpu",),
            ),
        ),
    )
    backend = "torch"

    def list_devices(self) -> List[Device]:
        """Without TPUs: Keras's PyTorch back end knows no XLA."""
        return [device for device, _ in list_places() if device.kind != "tpu"]

    def _open_backend(self, settings: Settings) -> Device:
        import torch

        device = choose_device("Keras on PyTorch", self.list_devices(), settings.device)
        place = dict(list_places())[device]
        os.environ["KERAS_TORCH_DEVICE"] = place
        self._place = torch.device(place)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        if settings.tuned_settings.get("threads") == "all":
            use_all_cpus()
        self._set_precision(settings.precision, device)
        return device

    def _set_precision(self, precision: str, device: Device) -> None:
        if precision == "tf32" and not has_tf32(self._place):
            refuse_precision("PyTorch", precision, device, "float32 or bfloat16")
        if precision == "float16" and self._place.type == "cpu":
            refuse_precision("Keras on PyTorch", precision, device, "float32 or bfloat16")
        if precision in ("float32", "tf32"):
            allow_tf32(precision == "tf32")

    def _import_keras(self) -> Any:
        import keras

        return keras

    def _synchronise(self) -> None:
        synchronise(self._place)

    def _device_of(self, tensor: Any) -> str:
        return device_id(getattr(tensor, "value", tensor).device)

    def effective_settings(self) -> Dict[str, Any]:
        import torch

        settings = super().effective_settings()
        if not self._model.jit_compile:  # Keras compiles nothing then, whatever run_eagerly says
            settings["execution"] = "eager"
        if self._place.type == "cpu":
            settings["threads"] = torch.get_num_threads()
        return settings

    def operations(self) -> Operations:
        """Those of the back end: Keras's layers call them."""
        return operations_on(self._place)


ENGINE = KerasTorchEngine()
