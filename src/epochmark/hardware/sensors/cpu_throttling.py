"""How often Intel processors throttled because of heat, as Linux counts it.

``/sys/devices/system/cpu/cpu*/thermal_throttle`` (Linux, admin-guide/thermal,
intel_thermal_throttle): each core counts for itself, and for the package it is part of.
"""

from __future__ import annotations

from pathlib import Path

from epochmark.hardware.sensors._contract import (
    ABSENT,
    Channel,
    Sensor,
    SensorInfo,
    number_in,
    text_in,
)

INFO = SensorInfo(
    reads="thermal throttling events",
    source="Linux, `thermal_throttle`",
    needs="Intel",
)


def open_sensor(worker: int, root: Path) -> Sensor:
    """Of the cores of a package one is asked, since each reports the count of the package."""
    by_package: dict[str, Path] = {}
    cores = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/thermal_throttle"))
    for folder in cores:
        if (folder / "package_throttle_count").is_file():
            package = folder.parent / "topology/physical_package_id"
            by_package.setdefault(text_in(package) or "", folder)
    files = [folder / "package_throttle_count" for folder in by_package.values()]
    files = files or [folder / "core_throttle_count" for folder in cores]
    return CpuThrottling(files) if files else ABSENT


class CpuThrottling(Sensor):
    """Sums the events of all packages."""

    source = "thermal_throttle"
    channels = (Channel("throttle_count", "CPU"),)

    def __init__(self, files: list[Path]) -> None:
        self._files = files

    def read(self) -> list[float | None]:
        return [sum(map(number_in, self._files))]
