"""Whether the machine runs on mains or on its battery, as psutil tells it."""

from __future__ import annotations

from pathlib import Path

import psutil

from epochmark.hardware.sensors._contract import ABSENT, Channel, Sensor


def open_sensor(worker: int, root: Path) -> Sensor:
    """A machine without a battery has nothing to tell."""
    has_battery = hasattr(psutil, "sensors_battery") and psutil.sensors_battery() is not None
    return PowerSupply() if has_battery else ABSENT


class PowerSupply(Sensor):
    source = "psutil, battery"
    channels = (Channel("mains", "power supply"),)
    interval_s = 5.0

    def read(self) -> list[float | None]:
        battery = psutil.sensors_battery()
        plugged = None if battery is None else battery.power_plugged
        return [None if plugged is None else float(plugged)]
