"""Whether AMD's GPUs can be used for computing: the kernel's kfd, and ROCm's rocminfo (Linux)."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from epochmark.hardware.gpus.asking import ToolOutput, ask

RocmState = Literal["works", "no GPU", "not loaded", "closed", "failed", "silent"]
"""``closed``: /dev/kfd could not be opened; ``no GPU``: ROCm lists processors only."""


@dataclass(frozen=True)
class Rocm:
    """What rocminfo says. ``gpus`` are targets (``gfx1100``) and names; ``said`` is the error."""

    state: RocmState
    gpus: tuple[tuple[str, str], ...] = ()
    said: str = ""


@dataclass(frozen=True)
class Kfd:
    """The kernel's door to computing on AMD's GPUs, ``/dev/kfd`` and ``/dev/dri/renderD*``.

    ``closed`` are the device files that we may not read and write, each with the group that may.
    ``targets`` are the GPUs' instruction sets (``gfx1100``).
    """

    there: bool = False
    closed: tuple[tuple[str, str], ...] = ()
    targets: tuple[str, ...] = ()


NO_KFD = Kfd()

SERVED = (
    "gfx900", "gfx906", "gfx908", "gfx90a", "gfx942", "gfx950", "gfx1030", "gfx1100", "gfx1101",
    "gfx1102", "gfx1150", "gfx1151", "gfx1200", "gfx1201",
)  # fmt: skip
"""What PyTorch's builds for ROCm are compiled for (its `.ci/docker/manywheel/build.sh`, 2.9)."""


def served(targets: Sequence[str]) -> list[str]:
    """Those that PyTorch's builds for ROCm serve: the small ones inside processors mostly not."""
    return [target for target in targets if target in SERVED]


def look_at_kfd(root: Path = Path("/")) -> Kfd:
    """What of it is here. ``root`` is where ``dev`` and ``sys`` lie."""
    kfd = root / "dev/kfd"
    if not kfd.exists():
        return Kfd()
    nodes = sorted((root / "sys/class/kfd/kfd/topology/nodes").glob("*/properties"))
    targets = [target for node in nodes if (target := target_of(_text(node)))]
    devices = [kfd, *sorted((root / "dev/dri").glob("renderD*"))]
    closed = [
        (str(Path("/") / device.relative_to(root)), _group(device))
        for device in devices
        if not os.access(device, os.R_OK | os.W_OK)
    ]
    return Kfd(True, tuple(closed), tuple(targets))


def target_of(properties: str) -> str | None:
    """The instruction set of a node of kfd's topology, None for a processor.

    The kernel writes 90402 for gfx942 and 90010 for gfx90a: major, minor and stepping, of which
    names have the last two as hexadecimal digits.
    """
    found = re.search(r"(?m)^gfx_target_version (\d{1,7})$", properties, re.ASCII)
    version = int(found[1]) if found else 0
    if version == 0:
        return None
    return f"gfx{version // 10000}{version // 100 % 100:x}{version % 100:x}"


def ask_rocminfo() -> Rocm | None:
    """What rocminfo says; None where it is not installed, which no framework minds."""
    said = ask([shutil.which("rocminfo") or "/opt/rocm/bin/rocminfo"])
    return None if said is None else from_rocminfo(said)


def from_rocminfo(said: ToolOutput) -> Rocm:
    """From what ``rocminfo`` printed."""
    if said.status is None:
        return Rocm("silent")
    if refused := re.search(r"Unable to open (/dev/kfd .*)", said.text):
        return Rocm("closed", said=refused[1].strip()[:300])
    gpus = tuple(
        (name, marketing.strip())
        for name, marketing in re.findall(
            r"(?m)^  Name: +(gfx\w+) *\n(?:  Uuid:.*\n)?  Marketing Name:(.*)$", said.text
        )
    )
    if gpus:
        return Rocm("works", gpus)
    if "module is NOT loaded" in said.text:
        return Rocm("not loaded")
    if "HSA Agents" in said.text:
        return Rocm("no GPU")
    lines = said.text.strip().splitlines() or [""]
    return Rocm("failed", said=lines[-1].strip()[:300])


def _group(device: Path) -> str:
    try:
        return device.group()
    except (OSError, KeyError):
        return "render"


def _text(file: Path) -> str:
    """Empty where it may not be read: a container sees the nodes of GPUs that are not its own."""
    try:
        return file.read_text("ascii", errors="replace")
    except OSError:
        return ""
