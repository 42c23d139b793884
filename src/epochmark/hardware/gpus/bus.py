"""The graphics cards and accelerators on the PCI bus, whether or not they have a driver (Linux)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from epochmark.hardware.sensors._contract import text_in

VENDORS = {"0x10de": "NVIDIA", "0x1002": "AMD", "0x8086": "Intel"}
"""Makers of GPUs that some framework trains on; virtual and servers' own graphics are of others."""

_CLASSES = ("0x0300", "0x0302", "0x0380", "0x1200")
"""Beginnings of PCI's class codes: VGA, 3D and other display controllers, accelerators."""


@dataclass(frozen=True)
class Card:
    """One card. ``driver``: the kernel's driver that holds it (``nvidia``, ``nouveau``,
    ``vfio-pci``), None where none does. ``slot`` is its address on the bus."""

    vendor: str
    driver: str | None
    slot: str


def cards(root: Path = Path("/")) -> list[Card]:
    """Every card of a known maker, by its address. ``root`` is where ``sys`` lies.

    A container sees the cards of the whole machine here.
    """
    found = []
    for device in sorted((root / "sys/bus/pci/devices").glob("*")):
        vendor = VENDORS.get(text_in(device / "vendor") or "")
        if vendor is not None and (text_in(device / "class") or "").startswith(_CLASSES):
            driver = device / "driver"
            name = driver.resolve().name if driver.exists() else None
            found.append(Card(vendor, name, device.name))
    return found
