"""Devices of PlaidML, and which of them it opened."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Dict, List

from epochmark.engines._plaidml.quiet import plaidml
from epochmark.engines._shared.contract import Device, DeviceUnavailableError

DEVICE_IDS = "PLAIDML_DEVICE_IDS"
EXPERIMENTAL = "PLAIDML_EXPERIMENTAL"


@dataclass(frozen=True)
class Found:
    """A device as we and as PlaidML call it, and whether only its experimental configuration
    accepts it."""

    device: Device
    plaidml_id: str
    experimental: bool


def find_devices() -> List[Found]:
    """All devices PlaidML has here, those its default configuration accepts first.

    Without ``libOpenCL.so`` PlaidML lists its CPU only, and says nothing.
    """
    kept = {name: os.environ.pop(name, None) for name in (DEVICE_IDS, EXPERIMENTAL)}
    found: Dict[str, Found] = {}
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
                found[plaidml_id] = Found(Device(our_id, description), plaidml_id, experimental)
    finally:
        for name, value in kept.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
    return list(found.values())


def select_device(found: Found) -> None:
    """Tell PlaidML, without its interactive ``plaidml-setup``, which device to open."""
    os.environ[DEVICE_IDS] = found.plaidml_id
    os.environ[EXPERIMENTAL] = str(int(found.experimental))


def check_device(wanted: Found) -> None:
    """Where no device is selected and there is one only, PlaidML opens it without a word."""
    opened = backend_device().id
    if opened != wanted.plaidml_id:
        raise DeviceUnavailableError(
            f"PlaidML opened {opened} where {wanted.plaidml_id} was asked for"
        )


def devices_of(weights: List[Any]) -> List[str]:
    """PlaidML's device object keeps the buffers allocated on it: the one that has those of the
    weights, by the id it was opened with."""
    device = backend_device()
    there = {id(reference()) for reference in device._bufs}
    if not all(id(weight.var.buffer) in there for weight in weights):
        return ["unknown"]
    ours = {found.plaidml_id: found.device.id for found in find_devices()}
    return [ours.get(device.id, device.id)]


def backend_device() -> Any:
    """The device on which the Keras back end, once imported, computes everything."""
    from plaidml.keras import backend

    return backend._device()
