"""Devices, threads and precision of JAX, for the engines on it."""

from __future__ import annotations

import os
from typing import Any, Dict, List, Tuple

import jax

from epochmark.engines._shared.contract import Device, Settings
from epochmark.engines._shared.devices import choose_device, refuse_precision, usable_cpus

MATMUL_PRECISIONS = {"float32": "highest", "tf32": "tensorfloat32"}
"""JAX's names for how float32 is multiplied; its default is TF32 on recent NVIDIA GPUs and
bfloat16 on TPUs."""


def list_places() -> List[Tuple[Device, Any]]:
    """Every device JAX has here, and JAX's object for it."""
    places = [(Device("cpu", "the processor"), jax.devices("cpu")[0])]
    others = (found for found in jax.local_devices() if found.platform != "cpu")
    for index, found in enumerate(others):  # all of one kind: one back end is the default
        kind = "tpu" if found.platform == "tpu" else "gpu"
        places.append((Device(f"{kind}:{index}", found.device_kind), found))
    return places


def open_device(settings: Settings) -> Tuple[Device, Any]:
    """Set JAX up for these settings; the device and JAX's object for it.

    On the CPU all other back ends are left closed, so that no GPU's memory is taken.
    """
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


def threads_on(device: Device) -> Dict[str, int]:
    """What a record says of the threads JAX computes with: NPROC, which XLA reads, else one for
    each CPU it may use. Nothing on other devices than the CPU, or where it is unknown."""
    said = os.environ.get("NPROC", "")
    threads = int(said) if said.isdecimal() and int(said) else usable_cpus()
    return {"threads": threads} if device.kind == "cpu" and threads is not None else {}


def _set_precision(precision: str, device: Device, place: Any) -> None:
    """``stock`` leaves JAX's default. bfloat16 is the model's own business: it casts."""
    if precision == "tf32" and not _has_tf32(place):
        refuse_precision("JAX", precision, device, "float32 or bfloat16")
    if precision in MATMUL_PRECISIONS:
        jax.config.update("jax_default_matmul_precision", MATMUL_PRECISIONS[precision])


def _has_tf32(place: Any) -> bool:
    """NVIDIA GPUs of compute capability 8.0 and later; only those report it as a number."""
    capability = str(getattr(place, "compute_capability", ""))
    return capability.replace(".", "").isdecimal() and float(capability) >= 8.0
