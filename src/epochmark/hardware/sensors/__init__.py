"""Temperature, frequency, power, energy: one file per sensor, found by file name.

Each file has an ``INFO``, and ``open_sensor``, which is given the process id of the worker and the
root of the file system, and answers ``ABSENT`` where this machine has no such sensor.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from pathlib import Path

from epochmark.hardware.sensors._contract import (
    ABSENT,
    Channel,
    Sensor,
    SensorInfo,
    UnreadableError,
)

__all__ = [
    "ABSENT",
    "Channel",
    "OpenSensor",
    "Sensor",
    "SensorInfo",
    "UnreadableError",
    "all_sensors",
    "sensor_infos",
]

OpenSensor = Callable[[int], Sensor]
"""Opens the sensor for a run of the worker with this process id; raises ``UnreadableError``."""


def all_sensors(root: Path = Path("/")) -> dict[str, OpenSensor]:
    """How to open every sensor there is, by name; nothing is touched yet."""
    return {name.replace("_", "-"): _opener(name, root) for name in _files()}


def sensor_infos() -> dict[str, SensorInfo]:
    """What each of them says of itself, by name; imports all files here."""
    return {
        name.replace("_", "-"): importlib.import_module(f"{__name__}.{name}").INFO
        for name in _files()
    }


def _files() -> list[str]:
    return sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))


def _opener(name: str, root: Path) -> OpenSensor:
    def open_sensor(worker: int) -> Sensor:
        module = importlib.import_module(f"{__name__}.{name}")
        sensor: Sensor = module.open_sensor(worker, root)
        return sensor

    return open_sensor
