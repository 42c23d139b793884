"""Keras 3 on JAX."""

from __future__ import annotations

from typing import Any, Dict, List

from epochmark.engines._jax import GPUS
from epochmark.engines._jax.threads import limit_threads
from epochmark.engines._keras.engine import ARRAYS, KerasEngine, layout_on
from epochmark.engines._shared.builds import JAX_BUILDS
from epochmark.engines._shared.contract import Device, Operations, Settings
from epochmark.engines._shared.devices import refuse_precision
from epochmark.engines._shared.info import ALL_WORDS, EngineInfo, Support
from epochmark.engines._shared.requirements import JAX


class KerasJaxEngine(KerasEngine):
    info = EngineInfo(
        name="keras-jax",
        title="Keras on JAX",
        summary="Keras 3 on JAX",
        family="keras-jax",
        adam_form="epsilon_hat",
        words=ALL_WORDS,
        devices=(
            Support("cpu", "JAX", "x86-64 Linux: JAX 0.10 with Keras 3.15"),
            Support("gpu", GPUS, "none of them"),
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
        from epochmark.engines._jax.devices import list_places

        return [device for device, _ in list_places()]

    def _open_backend(self, settings: Settings) -> Device:
        limit_threads(settings.threads)
        from epochmark.engines._jax.devices import open_device

        self._opened, self._place = open_device(settings)
        if settings.precision == "float16" and self._opened.kind == "cpu":
            refuse_precision("Keras on JAX", "float16", self._opened, "float32 or bfloat16")
        return self._opened

    def _synchronise(self) -> None:
        """Keras keeps a JAX model's state outside of it while training; bring it back and wait."""
        import jax

        self._model.jax_state_sync()
        jax.block_until_ready([variable.value for variable in self._model.variables])

    def _device_of(self, tensor: Any) -> str:
        from epochmark.engines._jax.devices import device_id

        return device_id(getattr(tensor, "value", tensor))

    def effective_settings(self) -> Dict[str, Any]:
        from epochmark.engines._jax.devices import threads_on

        return {**super().effective_settings(), **threads_on(self._opened)}

    def operations(self) -> Operations:
        """Those of the back end: Keras's layers call them, inside one compiled step."""
        from epochmark.engines._jax.operations import operations_on

        return operations_on(self._place)


ENGINE = KerasJaxEngine()
