"""Energy of Apple silicon without root: zeus-apple-silicon, which reads macOS's IOReport counters.

They are estimates of the system's energy model, as those of ``powermetrics`` are.
"""

from __future__ import annotations

import importlib
import platform
import sys
from pathlib import Path
from typing import Any

from epochmark.hardware.sensors._contract import (
    ABSENT,
    Channel,
    Sensor,
    SensorInfo,
    UnreadableError,
)

INFO = SensorInfo(
    reads="J of CPU, GPU, DRAM, as macOS estimates it",
    source="zeus-apple-silicon (IOReport)",
    needs="`pip install 'epochmark[energy]'`",
)

MILLIJOULES = 1e3
FIELDS = {"cpu_total_mj": "CPU", "gpu_mj": "GPU", "dram_mj": "DRAM"}
"""Fields of ``AppleEnergyMetrics``, and of what they are."""


def open_sensor(worker: int, root: Path) -> Sensor:
    """Raises ``UnreadableError`` on Apple silicon without the library."""
    if sys.platform != "darwin" or platform.machine() != "arm64":
        return ABSENT
    try:
        zeus = importlib.import_module("zeus_apple_silicon")
    except ModuleNotFoundError as error:
        raise UnreadableError(
            "energy needs zeus-apple-silicon: pip install 'epochmark[energy]'"
        ) from error
    return AppleEnergy(zeus.AppleEnergyMonitor())


class AppleEnergy(Sensor):
    source = "IOReport, zeus-apple-silicon"

    def __init__(self, monitor: Any) -> None:
        self._monitor = monitor
        now = monitor.get_cumulative_energy()
        self._fields = [name for name in FIELDS if getattr(now, name) is not None]
        self.channels = tuple(Channel("energy", FIELDS[name]) for name in self._fields)

    def read(self) -> list[float | None]:
        now = self._monitor.get_cumulative_energy()
        return [getattr(now, name) / MILLIJOULES for name in self._fields]
