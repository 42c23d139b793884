"""Keras 3 on JAX."""

from __future__ import annotations

from typing import Any, Dict, List

from epochmark.engines._shared.builds import JAX_BUILDS
from epochmark.engines._shared.contract import Device, EngineInfo, Operations, Settings, Support
from epochmark.engines._shared.devices import refuse_precision
from epochmark.engines._shared.on_jax import (
    JAX_GPUS,
    default_threads,
    device_id,
    list_places,
    open_device,
    operations_on,
)
from epochmark.engines._shared.on_keras import ARRAYS, KerasEngine, layout_on
from epochmark.engines._shared.requirements import JAX


class KerasJaxEngine(KerasEngine):
    info = EngineInfo(
        name="keras-jax",
        title="Keras on JAX",
        summary="Keras 3 on JAX",
        family="keras-jax",
        adam_form="epsilon_hat",
        devices=(
            Support("cpu", "JAX", "x86-64 Linux: JAX 0.10 with Keras 3.15"),
            Support("gpu", JAX_GPUS, "none of them"),
            Support("tpu", "`jax[tpu]`"),
        ),
        modules=("keras", "jax"),
        distributions=("keras", "jax", "jaxlib", "jax-metal", "numpy"),
        requirements=JAX,
        builds=JAX_BUILDS,
        precisions=("stock", "float32", "tf32", "bfloat16", "float16"),
        tunables=(ARRAYS, layout_on("cpu", "gpu")),
    )
    backend = "jax"

    def list_devices(self) -> List[Device]:
        return [device for device, _ in list_places()]

    def _open_backend(self, settings: Settings) -> Device:
        self._opened, self._place = open_device(settings)
        if settings.precision == "float16" and self._opened.kind == "cpu":
            refuse_precision("Keras on JAX", "float16", self._opened, "float32 or bfloat16")
        return self._opened

    def _import_keras(self) -> Any:
        import keras

        return keras

    def _synchronise(self) -> None:
        """Keras keeps a JAX model's state outside of it while training; bring it back and wait."""
        import jax

        self._model.jax_state_sync()
        jax.block_until_ready([variable.value for variable in self._model.variables])

    def _device_of(self, tensor: Any) -> str:
        return device_id(getattr(tensor, "value", tensor))

    def effective_settings(self) -> Dict[str, Any]:
        settings = super().effective_settings()
        if self._opened.kind == "cpu" and default_threads() is not None:
            settings["threads"] = default_threads()
        return settings

    def operations(self) -> Operations:
        """Those of the back end: Keras's layers call them, inside one compiled step."""
        return operations_on(self._place)


ENGINE = KerasJaxEngine()
