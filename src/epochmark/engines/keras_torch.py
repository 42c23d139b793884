"""Keras 3 on PyTorch."""

from __future__ import annotations

import os
from typing import Any, Dict, List

from epochmark.engines._keras.engine import ARRAYS, KerasEngine, layout_on
from epochmark.engines._shared.builds import TORCH_BUILDS
from epochmark.engines._shared.contract import Device, Operations, Settings
from epochmark.engines._shared.devices import choose_device, refuse_precision
from epochmark.engines._shared.info import ALL_WORDS, EngineInfo, Support, Tunable
from epochmark.engines._shared.requirements import TORCH
from epochmark.engines._torch import GPUS


class KerasTorchEngine(KerasEngine):
    info = EngineInfo(
        name="keras-torch",
        title="Keras on PyTorch",
        summary="Keras 3 on PyTorch",
        family="keras-torch",
        adam_form="epsilon_hat",
        words=ALL_WORDS,
        devices=(
            Support("cpu", "PyTorch", "x86-64 Linux: PyTorch 2.13 with Keras 3.15"),
            Support("gpu", GPUS, "none of them"),
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
        from epochmark.engines._torch.devices import list_places

        return [device for device, _ in list_places() if device.kind != "tpu"]

    def _open_backend(self, settings: Settings) -> Device:
        from epochmark.engines._torch import devices

        device = choose_device("Keras on PyTorch", self.list_devices(), settings.device)
        _, self._place = devices.find_device("Keras on PyTorch", device.id)
        os.environ["KERAS_TORCH_DEVICE"] = str(self._place)
        all_cpus = settings.tuned_settings.get("threads") == "all"
        devices.set_threads(settings.threads, all_cpus)
        self._set_precision(settings.precision, device)
        return device

    def _set_precision(self, precision: str, device: Device) -> None:
        from epochmark.engines._torch.devices import allow_tf32, has_tf32

        if precision == "tf32" and not has_tf32(self._place):
            refuse_precision("PyTorch", precision, device, "float32 or bfloat16")
        if precision == "float16" and self._place.type == "cpu":
            refuse_precision("Keras on PyTorch", precision, device, "float32 or bfloat16")
        if precision in ("float32", "tf32"):
            allow_tf32(precision == "tf32")

    def _synchronise(self) -> None:
        from epochmark.engines._torch.devices import synchronise

        synchronise(self._place)

    def _device_of(self, tensor: Any) -> str:
        from epochmark.engines._torch.devices import device_id

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
        from epochmark.engines._torch.operations import operations_on

        return operations_on(self._place)


ENGINE = KerasTorchEngine()
