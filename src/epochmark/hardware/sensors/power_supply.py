"""Whether the machine runs on mains or on its battery, as psutil reports it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psutil

from epochmark.hardware.sensors._contract import ABSENT, Channel, Sensor, SensorInfo

INFO = SensorInfo(
    reads="mains or battery",
    source="psutil",
)


def sensed_battery() -> Any:
    """psutil's ``sbattery``; None without a battery, or where a container hides the system's."""
    with contextlib.suppress(OSError):
        return psutil.sensors_battery() if hasattr(psutil, "sensors_battery") else None
    return None


def open_sensor(worker: int, root: Path) -> Sensor:
    """A machine without a battery has nothing to report."""
    return ABSENT if sensed_battery() is None else PowerSupply()


class PowerSupply(Sensor):
    source = "psutil, battery"
    channels = (Channel("mains", "power supply"),)
    interval_s = 5.0

    def read(self) -> list[float | None]:
        battery = sensed_battery()
        plugged = None if battery is None else battery.power_plugged
        return [None if plugged is None else float(plugged)]
