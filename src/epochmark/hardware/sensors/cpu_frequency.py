"""Frequency of the processor: the mean over its cores, as psutil reads it from Linux's cpufreq."""

from __future__ import annotations

from pathlib import Path

import psutil

from epochmark.hardware.sensors._contract import ABSENT, Channel, Sensor, SensorInfo

INFO = SensorInfo(
    reads="MHz, mean over cores",
    source="psutil (Linux cpufreq)",
    needs="a driver that scales",
)


def open_sensor(worker: int, root: Path) -> Sensor:
    """Only where Linux scales frequencies: elsewhere psutil gives a constant (the nominal
    frequency in a virtual machine, the highest one on Apple silicon), which would be a lie."""
    policies = root / "sys/devices/system/cpu/cpufreq"
    return CpuFrequency() if any(policies.glob("policy*/scaling_cur_freq")) else ABSENT


class CpuFrequency(Sensor):
    source = "psutil, cpufreq"
    channels = (Channel("frequency", "CPU"),)
    interval_s = 5.0
    """Some drivers interrupt every core to answer."""

    def read(self) -> list[float | None]:
        frequency = psutil.cpu_freq()
        return [None if frequency is None else frequency.current]
