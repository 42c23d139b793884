"""AMD GPUs through the files of Linux's amdgpu driver (gpu/amdgpu/thermal) and of ROCm's kfd.

amdsmi reports more (throttling, energy) but comes with ROCm, in a version that must fit it; the
files need nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from epochmark.hardware.sensors._contract import (
    ABSENT,
    Channel,
    Sensor,
    SensorInfo,
    number_in,
    text_in,
    values_of,
)
from epochmark.records.fields import Quantity

INFO = SensorInfo(
    reads="W, °C, MHz, % busy, bytes held by the worker",
    source="Linux amdgpu and kfd files",
)

VENDOR = "0x1002"
FILES: dict[Quantity, tuple[tuple[str, ...], float]] = {
    "power": (("hwmon/hwmon*/power1_average", "hwmon/hwmon*/power1_input"), 1e-6),
    "temperature": (("hwmon/hwmon*/temp2_input", "hwmon/hwmon*/temp1_input"), 1e-3),
    "frequency": (("hwmon/hwmon*/freq1_input",), 1e-6),
    "utilisation": (("gpu_busy_percent",), 1.0),
}
"""The files that hold a quantity, the better ones first (temp2 is the hottest spot, temp1 the
edge), and what to multiply them with."""


def open_sensor(worker: int, root: Path) -> Sensor:
    """All AMD cards with a driver."""
    cards = [
        card / "device"
        for card in sorted((root / "sys/class/drm").glob("card[0-9]*"))
        if text_in(card / "device/vendor") == VENDOR and "-" not in card.name
    ]
    readers: list[tuple[Channel, Callable[[], float | None]]] = []
    for index, card in enumerate(cards):
        scope = f"GPU {index} {text_in(card / 'product_name') or 'AMD'}"
        for quantity, (patterns, factor) in FILES.items():
            files = [file for pattern in patterns for file in sorted(card.glob(pattern))]
            if files:
                file = next(filter(_is_readable, files), files[0])
                readers.append((Channel(quantity, scope), _scaled(file, factor)))
    if cards and (root / "sys/class/kfd/kfd/proc").is_dir():
        scope = "GPU" if len(cards) > 1 else "GPU 0"
        readers.append((Channel("memory", scope), _memory_of(worker, root)))
    return AmdGpus(readers) if readers else ABSENT


def _is_readable(file: Path) -> bool:
    """A file may be there and refuse: for good, or while the card sleeps."""
    try:
        number_in(file)
    except (OSError, ValueError):
        return False
    return True


def _scaled(file: Path, factor: float) -> Callable[[], float | None]:
    return lambda: number_in(file) * factor


def _memory_of(worker: int, root: Path) -> Callable[[], float | None]:
    """Bytes of GPU memory that the worker holds on all GPUs; None when kfd does not know it."""
    folder = root / f"sys/class/kfd/kfd/proc/{worker}"

    def read() -> float | None:
        files = list(folder.glob("vram_*"))
        return sum(map(number_in, files)) if files else None

    return read


class AmdGpus(Sensor):
    source = "amdgpu"

    def __init__(self, readers: list[tuple[Channel, Callable[[], float | None]]]) -> None:
        self.channels = tuple(channel for channel, _ in readers)
        self._reads = [read for _, read in readers]

    def read(self) -> list[float | None]:
        return values_of(self._reads)
