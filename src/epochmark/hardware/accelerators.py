"""Which accelerators this machine has, found without any framework: what builds to install."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from epochmark.hardware.sensors._contract import text_in

_INTEL = "0x8086"


def accelerators(root: Path = Path("/")) -> list[str]:
    """What of ``ACCELERATORS`` (``engines._shared.requirements``) is here, most specific first,
    ``cpu`` last.

    ``root`` is where the system's ``dev`` and ``sys`` folders lie. What is found is a driver's
    device node, so a card without its driver does not count: no framework could use it.
    """
    found = [name for name, is_there in _CHECKS.items() if is_there(root)]
    return [*found, "cpu"]


def _has_nvidia(root: Path) -> bool:
    """The driver's device node, or under WSL 2 the library that stands in for it."""
    wsl_library = root / "usr/lib/wsl/lib/libcuda.so.1"
    return any((root / "dev").glob("nvidia[0-9]*")) or wsl_library.exists()


def _has_amd(root: Path) -> bool:
    """ROCm's own device node; the graphics driver alone is not enough."""
    return (root / "dev/kfd").exists() and any((root / "dev/dri").glob("renderD*"))


def _has_intel(root: Path) -> bool:
    """An Intel GPU with memory of its own; the one inside a processor is slower than it."""
    for card in (root / "sys/class/drm").glob("card[0-9]"):
        is_intel = text_in(card / "device/vendor") == _INTEL
        own_memory = (*card.glob("device/*lmem*"), *card.glob("device/tile*/vram*"))
        if is_intel and own_memory:
            return True
    return False


def _is_apple_silicon(root: Path) -> bool:
    return platform.system() == "Darwin" and platform.machine() == "arm64"


def _has_tpu(root: Path) -> bool:
    """A Cloud TPU machine: device nodes, and the variable that its images set."""
    nodes = [*(root / "dev").glob("accel[0-9]*"), *(root / "dev/vfio").glob("[0-9]*")]
    return bool(nodes) and ("TPU_NAME" in os.environ or "TPU_ACCELERATOR_TYPE" in os.environ)


def _has_directx(root: Path) -> bool:
    """WSL 2, which hands the GPU of Windows through; CUDA comes first where it is there."""
    return (root / "dev/dxg").exists()


def _has_opencl(root: Path) -> bool:
    return any((root / "etc/OpenCL/vendors").glob("*.icd"))


_CHECKS = {
    "cuda": _has_nvidia,
    "rocm": _has_amd,
    "xpu": _has_intel,
    "metal": _is_apple_silicon,
    "tpu": _has_tpu,
    "directml": _has_directx,
    "opencl": _has_opencl,
}
