"""Devices, threads and precision of JAX, for the engines on it."""

from __future__ import annotations

import os
from typing import Any, Callable, List, Optional, Tuple

import numpy as np

from epochmark.engines._shared.contract import Device, Operations, Settings, UnavailableError
from epochmark.engines._shared.devices import choose_device, refuse_precision, usable_cpus

MATMUL_PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32"}
"""JAX's names for how float32 is multiplied; its default is TF32 on recent NVIDIA GPUs and
bfloat16 on TPUs."""


JAX_GPUS = "CUDA, ROCm; Metal with Apple's `jax-metal` (`--accelerator metal`)"
"""Whose GPUs JAX reaches."""


def list_places() -> List[Tuple[Device, Any]]:
    """Every device JAX has here, and JAX's object for it."""
    import jax

    places = [(Device("cpu", "the processor"), jax.devices("cpu")[0])]
    others = (found for found in jax.local_devices() if found.platform != "cpu")
    for index, found in enumerate(others):  # all of one kind: one back end is the default
        kind = "tpu" if found.platform == "tpu" else "gpu"
        places.append((Device(f"{kind}:{index}", found.device_kind), found))
    return places


def open_device(settings: Settings) -> Tuple[Device, Any]:
    """Set JAX up for these settings; the device and JAX's object for it.

    On the CPU all other back ends are left closed, so that no GPU's memory is taken. JAX offers no
    setting for its CPU threads; it starts as many as the process may use CPUs, so ``threads``
    narrows that.
    """
    if settings.threads is not None:
        _limit_cpus(settings.threads)
    import jax

    if settings.device == "cpu":
        jax.config.update("jax_platforms", "cpu")
    places = list_places()
    device = choose_device("JAX", [device for device, _ in places], settings.device)
    place = dict(places)[device]
    jax.config.update("jax_default_device", place)
    _set_precision(settings.precision, device, place)
    return device, place


def device_id(array: Any) -> str:
    """Id of the device, or the devices, that hold a JAX array."""
    ids = {place: device.id for device, place in list_places()}
    return "+".join(sorted(ids[place] for place in array.devices()))


def operations_on(place: Any) -> Operations:
    """JAX's own operations on this device, one by one, each compiled."""
    import jax
    from jax import lax

    def in_order(operation: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        """On the CPU calls that need not wait for each other may run side by side, so that the
        last one says nothing of the others."""
        compiled: Callable[[Any, Any], Any] = jax.jit(operation)
        if place.platform != "cpu":
            return compiled
        return lambda left, right: jax.block_until_ready(compiled(left, right))

    def convolve(images: Any, kernel: Any) -> Any:
        layout = ("NHWC", "HWIO", "NHWC")
        return lax.conv_general_dilated(images, kernel, (1, 1), "VALID", dimension_numbers=layout)

    return Operations(
        put=lambda array: jax.device_put(array, place),
        get=np.asarray,
        multiply=in_order(jax.numpy.matmul),
        convolve=in_order(convolve),
        add=in_order(jax.numpy.add),
        wait=jax.block_until_ready,
    )


def default_threads() -> Optional[int]:
    """Threads JAX computes with: NPROC, which XLA reads, else one for each CPU it may use."""
    said = os.environ.get("NPROC", "")
    return int(said) if said.isdecimal() and int(said) else usable_cpus()


def _limit_cpus(threads: int) -> None:
    if not hasattr(os, "sched_setaffinity"):
        raise UnavailableError(
            "JAX has no setting for its threads, and this system cannot bind a process to CPUs; "
            "leave --threads out"
        )
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def _set_precision(precision: str, device: Device, place: Any) -> None:
    """``stock`` leaves JAX's default. bfloat16 is the model's own business: it casts."""
    import jax

    if precision == "tf32" and not _has_tf32(place):
        refuse_precision("JAX", precision, device, "float32 or bfloat16")
    if precision in MATMUL_PRECISIONS:
        jax.config.update("jax_default_matmul_precision", MATMUL_PRECISIONS[precision])


def _has_tf32(place: Any) -> bool:
    """NVIDIA GPUs of compute capability 8.0 and later; only those tell one as a number."""
    capability = str(getattr(place, "compute_capability", ""))
    return capability.replace(".", "").isdecimal() and float(capability) >= 8.0
