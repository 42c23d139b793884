"""How much macOS throttles because of heat: its thermal pressure level, read without root.

``powermetrics -s thermal`` shows the same and wants root; ``notify_get_state`` (notify(3)) of the
notification that thermald posts does not. Levels (OSThermalNotification.h): 0 nominal, 1 moderate,
2 heavy, 3 trapping, 4 sleeping. Temperatures and frequencies macOS shows only to root.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

from epochmark.hardware.sensors._contract import (
    ABSENT,
    Channel,
    Sensor,
    SensorInfo,
    UnreadableError,
)

INFO = SensorInfo(
    reads="throttling level 0 to 4",
    source="macOS notify(3)",
)

NAME = b"com.apple.system.thermalpressurelevel"


def open_sensor(worker: int, root: Path) -> Sensor:
    """Raises ``UnreadableError`` where the system refuses to register."""
    return AppleThermalPressure() if sys.platform == "darwin" else ABSENT


class AppleThermalPressure(Sensor):
    source = "thermald, notify"
    channels = (Channel("throttle_level", "CPU and GPU"),)

    def __init__(self) -> None:
        self._system = ctypes.CDLL(None)
        self._token = ctypes.c_int()
        if self._system.notify_register_check(NAME, ctypes.byref(self._token)) != 0:
            raise UnreadableError("macOS does not report its thermal pressure")

    def read(self) -> list[float | None]:
        level = ctypes.c_uint64()
        status = self._system.notify_get_state(self._token, ctypes.byref(level))
        return [None if status != 0 else float(level.value)]

    def close(self) -> None:
        self._system.notify_cancel(self._token)
