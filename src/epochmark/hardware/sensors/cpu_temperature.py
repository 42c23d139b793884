"""Temperature of the processor: the hottest of its own sensors, as psutil finds them (Linux)."""

from __future__ import annotations

from pathlib import Path

import psutil

from epochmark.hardware.sensors._contract import ABSENT, Channel, Sensor, SensorInfo

INFO = SensorInfo(
    reads="°C, the hottest of the processor's own sensors",
    source="psutil (Linux hwmon)",
)

CHIPS = (
    "coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal", "scpi_sensors",
    "x86_pkg_temp",
)  # fmt: skip
"""Drivers of a processor's own sensors, the better ones first: Intel; AMD (two); Raspberry Pi and
other boards with ARM processors; Intel where only the thermal zone is there."""


def open_sensor(worker: int, root: Path) -> Sensor:
    """psutil has no temperatures on macOS, and finds none in most virtual machines."""
    if not hasattr(psutil, "sensors_temperatures"):
        return ABSENT
    found = psutil.sensors_temperatures()
    chip = next((chip for chip in CHIPS if found.get(chip)), None)
    return ABSENT if chip is None else CpuTemperature(chip)


class CpuTemperature(Sensor):
    channels = (Channel("temperature", "CPU"),)
    interval_s = 2.0
    """psutil reads every sensor of the machine for it; heat changes slowly."""

    def __init__(self, chip: str) -> None:
        self._chip = chip
        self.source = f"psutil, {chip}"

    def read(self) -> list[float | None]:
        return [max(reading.current for reading in psutil.sensors_temperatures()[self._chip])]
