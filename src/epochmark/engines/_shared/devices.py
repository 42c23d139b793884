"""The device a user typed, found among those a framework has here, and the refusals."""

from __future__ import annotations

import os
from typing import Optional, Sequence

from epochmark.engines._shared.contract import Device, DeviceUnavailableError, UnavailableError


def choose_device(engine: str, devices: Sequence[Device], wanted: str) -> Device:
    """The device with the id ``wanted``; a bare kind (``gpu``) is the first of that kind.

    Raises ``DeviceUnavailableError``, which names those there are, when it is not among
    ``devices``. Nothing ever falls back to another device.
    """
    for device in devices:
        if wanted in (device.id, device.kind):
            return device
    there = ", ".join(device.id for device in devices) or "no device"
    raise DeviceUnavailableError(f"{engine} finds no device {wanted!r} here; it finds: {there}")


def usable_cpus() -> Optional[int]:
    """CPUs this process may use, None where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def refuse_precision(engine: str, precision: str, device: Device, instead: str) -> None:
    """Raise: this device, or this framework on it, has no such precision; ``instead`` names what
    can be asked for."""
    raise UnavailableError(
        f"{engine} has no {precision} on {device.id} ({device.description}); ask for: {instead}"
    )
