"""This machine's GPUs as a record names them: driver, power limit, PCIe link."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from epochmark.hardware.gpus.bus import cards
from epochmark.hardware.gpus.nvidia import NO_DRIVER, NvidiaDriver, ask_driver, has_signs
from epochmark.hardware.sensors._contract import text_in
from epochmark.records.record import Gpu

MICRO = 1e-6
GENERATIONS = {"2.5": 1, "5.0": 2, "8.0": 3, "16.0": 4, "32.0": 5, "64.0": 6, "128.0": 7}
"""Of PCI Express, by GT/s."""


Figure = TypeVar("Figure", int, float)


def gpus_here(
    root: Path = Path("/"), ask_nvidia: Callable[[], NvidiaDriver] = ask_driver
) -> list[Gpu]:
    """NVIDIA's GPUs by their driver, AMD's by Linux's files; none of what has no driver.

    ``root`` is where ``dev`` and ``sys`` lie. A driver that does not answer costs a few seconds.
    """
    driver = ask_nvidia() if has_signs(cards(root), root) else NO_DRIVER
    nvidia = [
        Gpu(
            name=gpu.name[:300],
            driver=driver.driver,
            power_limit_w=_plausible(gpu.power_limit_w, 10_000.0),
            pcie_generation=_plausible(gpu.pcie_generation, 10),
            pcie_width=_plausible(gpu.pcie_width, 32),
        )
        for gpu in driver.gpus
    ]
    return [*nvidia, *_amd(root)]


def free_gpu_bytes(
    root: Path = Path("/"), ask_nvidia: Callable[[], NvidiaDriver] = ask_driver
) -> int | None:
    """Free memory of the NVIDIA GPU that has most of it, in bytes: which of several a framework
    counts as which is its own matter. None where a driver does not say, and for others' GPUs."""
    driver = ask_nvidia() if has_signs(cards(root), root) else NO_DRIVER
    return max((gpu.free_bytes for gpu in driver.gpus if gpu.free_bytes), default=None)


def _plausible(value: Figure | None, most: Figure) -> Figure | None:
    """A driver may say 0 where a virtual machine hides the figure."""
    return value if value is not None and 0 < value <= most else None


def _amd(root: Path) -> Iterator[Gpu]:
    version = text_in(root / "sys/module/amdgpu/version")
    for card in cards(root):
        if card.driver != "amdgpu":
            continue
        device = root / "sys/bus/pci/devices" / card.slot
        limits = [text_in(file) for file in sorted(device.glob("hwmon/hwmon*/power1_cap"))]
        yield Gpu(
            name=f"AMD {text_in(device / 'product_name') or 'GPU'}"[:300],
            driver=version,
            power_limit_w=_plausible(MICRO * _whole(limits[0] if limits else None), 10_000.0),
            pcie_generation=_amd_generation(device),
            pcie_width=_plausible(_narrowest(device), 32),
        )


def _whole(text: str | None) -> int:
    return int(text) if text and re.fullmatch("[0-9]{1,15}", text) else 0


def _narrowest(device: Path) -> int:
    """Lanes of the narrowest link on the way from the card to the processor: a switch on the card
    hides that of the slot from the GPU itself (nokyan/resources, issue 512)."""
    way = [device.resolve(), *device.resolve().parents]
    widths = [_whole(text_in(each / "current_link_width")) for each in way]
    return min(filter(None, widths), default=0)


def _amd_generation(device: Path) -> int | None:
    """The last of the speeds that the driver may set is the fastest: ``1: 16.0GT/s, x8``."""
    speeds = re.findall(r"([0-9.]+)GT/s", text_in(device / "pp_dpm_pcie") or "")
    return GENERATIONS.get(speeds[-1]) if speeds else None
