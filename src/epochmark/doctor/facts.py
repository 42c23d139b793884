"""What several checks ask about the machine, found out once and without any framework."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from epochmark.hardware.accelerators import accelerators
from epochmark.hardware.gpus import amd, nvidia
from epochmark.hardware.gpus.amd import NO_KFD, Kfd, Rocm
from epochmark.hardware.gpus.bus import Card, cards
from epochmark.hardware.gpus.nvidia import NO_DRIVER, NvidiaDriver
from epochmark.hardware.host import container, wsl_version

_HIDE = ("", "-1", "none", "nodevfiles", "void")
"""Values by which a variable leaves no GPU visible."""


@dataclass(frozen=True)
class Facts:
    """The machine, as the rules see it.

    ``distribution``: ``ID`` and ``ID_LIKE`` of Linux's os-release, most specific first.
    ``accelerators`` are those whose drivers' devices are here (``hardware.accelerators``). ``rocm``
    is None where rocminfo is not installed. ``deep``: frameworks are to be asked, too.
    """

    system: str = "Linux"
    architecture: str = "x86_64"
    distribution: tuple[str, ...] = ()
    cards: tuple[Card, ...] = ()
    accelerators: tuple[str, ...] = ("cpu",)
    nvidia: NvidiaDriver = NO_DRIVER
    kfd: Kfd = NO_KFD
    rocm: Rocm | None = None
    container: str | None = None
    wsl: int | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    root: Path = Path("/")
    deep: bool = False

    def cards_of(self, vendor: str) -> list[Card]:
        """The cards of one maker on the bus."""
        return [card for card in self.cards if card.vendor == vendor]

    @property
    def hides_cuda(self) -> bool:
        """Whether a variable hides every NVIDIA GPU from frameworks."""
        value = self.variables.get("CUDA_VISIBLE_DEVICES")
        return value is not None and value.strip().lower() in _HIDE

    @property
    def usable(self) -> tuple[str, ...]:
        """Accelerators that a framework made for them can train on now."""
        works = {
            "cuda": self.nvidia.state == "works" and not self.hides_cuda,
            "rocm": self.kfd.there and not self.kfd.closed and bool(amd.served(self.kfd.targets)),
        }
        found = dict.fromkeys((*self.accelerators, *(name for name in works if works[name])))
        return tuple(name for name in found if works.get(name, True))


def gather(deep: bool = False, root: Path = Path("/")) -> Facts:
    """Look at this machine. What drivers have to be asked for is still missing."""
    return Facts(
        system=platform.system(),
        architecture=platform.machine(),
        distribution=_distribution(),
        cards=tuple(cards(root)),
        accelerators=tuple(accelerators(root)),
        kfd=amd.look_at_kfd(root),
        container=container(root),
        wsl=wsl_version(root),
        variables=dict(os.environ),
        root=root,
        deep=deep,
    )


def ask_drivers(facts: Facts) -> Facts:
    """With what NVIDIA's driver and ROCm answer: asked at the same time, each for two seconds at
    most, and only where something of theirs is here."""
    with ThreadPoolExecutor(2) as asking:
        is_nvidia = nvidia.has_signs(facts.cards, facts.root)
        driver = asking.submit(nvidia.ask_driver) if is_nvidia else None
        is_amd = facts.kfd.there or bool(facts.cards_of("AMD"))
        rocm = asking.submit(amd.ask_rocminfo) if is_amd else None
    return replace(
        facts,
        nvidia=NO_DRIVER if driver is None else driver.result(),
        rocm=None if rocm is None else rocm.result(),
    )


def _distribution() -> tuple[str, ...]:
    try:
        release = platform.freedesktop_os_release()
    except (OSError, ValueError):
        return ()
    return (release.get("ID", ""), *release.get("ID_LIKE", "").split())
