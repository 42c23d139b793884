"""NVIDIA GPUs through NVML, which nvidia-smi shows as well, by NVIDIA's binding nvidia-ml-py."""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from epochmark.hardware.sensors._contract import (
    ABSENT,
    Channel,
    Sensor,
    SensorInfo,
    UnreadableError,
    values_of,
)
from epochmark.records.fields import Quantity

INFO = SensorInfo(
    reads="J, W, °C, MHz, % busy, throttling by heat, bytes held by the worker",
    source="NVML by nvidia-ml-py",
    needs="NVIDIA's driver",
    seen="no; tested with the real binding on a library that stands in for the driver",
)

LIBRARY = "libnvidia-ml.so.1"
MILLI = 1e3
GPUS = 16
"""More are not looked at: a run trains on one."""


def open_sensor(worker: int, root: Path) -> Sensor:
    """Raises ``UnreadableError`` where the driver's library is here and does not work."""
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return ABSENT
    try:
        pynvml = importlib.import_module("pynvml")
    except ModuleNotFoundError as error:
        raise UnreadableError("NVIDIA GPUs need nvidia-ml-py: pip install nvidia-ml-py") from error
    try:
        pynvml.nvmlInit()
        driver = pynvml.nvmlSystemGetDriverVersion()
        gpus = [_Gpu(pynvml, n, worker) for n in range(min(pynvml.nvmlDeviceGetCount(), GPUS))]
    except pynvml.NVMLError as error:
        raise UnreadableError(f"the NVIDIA driver does not answer: {error}") from error
    return NvidiaGpus(pynvml, gpus, driver) if gpus else ABSENT


class _Gpu:
    """One GPU; ``readers`` are those of the quantities that it has."""

    def __init__(self, nvml: Any, index: int, worker: int) -> None:
        self._nvml, self._worker = nvml, worker
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        scope = f"GPU {index} {nvml.nvmlDeviceGetName(self._handle)}"
        every: dict[Quantity, Callable[[], float | None]] = {
            # counted since Volta (2017)
            "energy": lambda: nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle) / MILLI,
            "power": lambda: nvml.nvmlDeviceGetPowerUsage(self._handle) / MILLI,
            "temperature": self._temperature,
            "frequency": lambda: nvml.nvmlDeviceGetClockInfo(self._handle, nvml.NVML_CLOCK_SM),
            "utilisation": lambda: nvml.nvmlDeviceGetUtilizationRates(self._handle).gpu,
            "throttle_level": self._throttled,
            "memory": self._memory,
        }
        self.readers = [
            (Channel(quantity, scope), read)
            for quantity, read in every.items()
            if self._answers(read)
        ]

    def _answers(self, read: Callable[[], float | None]) -> bool:
        try:
            read()
        except self._nvml.NVMLError:
            return False
        return True

    def _temperature(self) -> float:
        return float(
            self._nvml.nvmlDeviceGetTemperature(self._handle, self._nvml.NVML_TEMPERATURE_GPU)
        )

    def _throttled(self) -> float:
        """1 while heat slows the GPU down. A power limit does not count: working at it is how
        these GPUs are meant to run."""
        nvml = self._nvml
        reasons = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(self._handle)
        heat = (
            nvml.nvmlClocksThrottleReasonSwThermalSlowdown
            | nvml.nvmlClocksThrottleReasonHwThermalSlowdown
            | nvml.nvmlClocksThrottleReasonHwSlowdown
        )
        return float(bool(reasons & heat))

    def _memory(self) -> float | None:
        """Bytes that the worker's processes hold; None where none of them is seen.

        The worker leads a session of its own. In a container the driver names processes by their
        numbers outside, so that ours are not seen.
        """
        held = [
            process.usedGpuMemory or 0
            for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(self._handle)
            if _session(process.pid) == self._worker
        ]
        return float(sum(held)) if held else None


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


class NvidiaGpus(Sensor):
    def __init__(self, nvml: Any, gpus: list[_Gpu], driver: str) -> None:
        self._nvml = nvml
        self.source = f"NVML, driver {driver}"
        readers = [reader for gpu in gpus for reader in gpu.readers]
        self.channels = tuple(channel for channel, _ in readers)
        self._reads = [read for _, read in readers]

    def read(self) -> list[float | None]:
        return values_of(self._reads)

    def close(self) -> None:
        self._nvml.nvmlShutdown()
