"""Devices of MLX."""

from __future__ import annotations

from typing import List

import mlx.core as mx

from epochmark.engines._shared.contract import Device


def list_devices() -> List[Device]:
    """Every device MLX has here."""
    devices = [
        mx.Device(kind, index)
        for kind in (mx.cpu, mx.gpu)
        if mx.is_available(kind)
        for index in range(mx.device_count(kind))
    ]
    return [Device(_device_id(device), _description(device)) for device in devices]


def use_device(device: Device) -> None:
    """Make it the default, where MLX's operations then run."""
    index = int(device.id.partition(":")[2] or 0)
    mx.set_default_device(mx.Device(mx.cpu if device.kind == "cpu" else mx.gpu, index))


def default_device_id() -> str:
    """The device to which operations that are recorded now are bound."""
    return _device_id(mx.default_stream(mx.default_device()).device)


def _device_id(device: mx.Device) -> str:
    """An MLX device (``Device(gpu, 0)``) as ours."""
    return "cpu" if device.type == mx.DeviceType.cpu else f"gpu:{device.index}"


def _description(device: mx.Device) -> str:
    return str(mx.device_info(device).get("device_name", device))
