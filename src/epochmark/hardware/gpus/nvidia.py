"""Whether NVIDIA's driver works, and what it drives: by NVML, else by nvidia-smi."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from epochmark.hardware.gpus.asking import ToolOutput, ask
from epochmark.hardware.gpus.bus import Card

DriverState = Literal[
    "works", "no library", "not loaded", "mismatch", "refused", "lost", "no device", "no CUDA",
    "silent", "failed",
]  # fmt: skip
"""``mismatch``: the kernel runs another version than the libraries; ``refused``: it may not be used
from here; ``lost``: a GPU fell off the bus; ``no CUDA``: it draws and does not compute; ``silent``:
it did not answer in time."""

Version = tuple[int, int]


@dataclass(frozen=True)
class NvidiaGpu:
    """One GPU. ``capability`` is CUDA's compute capability (8.9: Ada), ``free_bytes`` what of its
    memory no program holds now; the others are those of ``records.record.Gpu``."""

    name: str
    capability: Version | None = None
    memory_bytes: int | None = None
    power_limit_w: float | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    free_bytes: int | None = None


@dataclass(frozen=True)
class NvidiaDriver:
    """What is known of the driver. ``cuda`` is the newest CUDA that it serves; ``said`` is the
    error in its own words."""

    state: DriverState
    driver: str | None = None
    cuda: Version | None = None
    gpus: tuple[NvidiaGpu, ...] = ()
    said: str = ""


MILLI = 1e3

NO_DRIVER = NvidiaDriver("no library")

_NVML_CODES: dict[int, DriverState] = {
    4: "refused", 6: "no device", 9: "not loaded", 10: "silent", 12: "no library", 15: "lost",
    16: "lost", 17: "refused", 18: "mismatch", 999: "refused",
}  # fmt: skip
"""``nvmlReturn_t`` of nvml.h. 999 is the unknown error: a container has lost its right to the
device (NVIDIA/nvidia-docker, issue 1671)."""

_SMI_ERRORS: dict[str, DriverState] = {
    "version mismatch": "mismatch",
    "communicate with the NVIDIA driver": "not loaded",
    "No devices were found": "no device",
    "GPU is lost": "lost",
    "Unable to determine the device handle": "lost",
    "Failed to initialize NVML: Unknown Error": "refused",
    "Insufficient Permissions": "refused",
    "couldn't find libnvidia-ml": "no library",
}
"""Parts of what nvidia-smi says instead of its table."""

_SMI_GPU = re.compile(r"(?m)^\|\s+\d+\s+(\S.*?)\s+(?:On|Off|N/A|WDDM|TCC)\s*\|.*\n\|([^\n|]*)"
                      r"\|[^\n|]*?(\d+)MiB\s*\|")  # fmt: skip
_SMI_POWER_LIMIT = re.compile(r"/\s*(\d+)W\s*$")
"""At the end of the cell with fan, temperature and power."""


def has_signs(cards: Sequence[Card], root: Path = Path("/")) -> bool:
    """Whether anything of NVIDIA's is here, so that its driver is worth asking."""
    return (
        any(card.vendor == "NVIDIA" for card in cards)
        or any((root / "dev").glob("nvidia*"))
        or (root / "usr/lib/wsl/lib/libcuda.so.1").exists()
        or shutil.which("nvidia-smi") is not None
    )


def ask_driver() -> NvidiaDriver:
    """The driver, asked in a process of its own."""
    by_nvml = from_nvml(ask([sys.executable, "-P", str(Path(__file__).with_name("ask_nvml.py"))]))
    if by_nvml.state not in ("no library", "failed"):
        return by_nvml
    said = ask([shutil.which("nvidia-smi") or "/usr/lib/wsl/lib/nvidia-smi"])
    return by_nvml if said is None else from_nvidia_smi(said)


class _Gpu(msgspec.Struct):
    name: str
    capability: Version
    memory_bytes: int
    power_limit_mw: int | None = None
    pcie_generation: int | None = None
    pcie_width: int | None = None
    free_bytes: int | None = None


class _Answer(msgspec.Struct):
    """What ``ask_nvml.py`` prints."""

    driver: str | None = None
    cuda: int = 0
    gpus: list[_Gpu] = []
    code: int | None = None
    message: str = ""


def from_nvml(said: ToolOutput | None) -> NvidiaDriver:
    """From what ``ask_nvml.py`` printed."""
    if said is None:
        return NO_DRIVER
    if said.status is None:
        return NvidiaDriver("silent")
    try:
        printed = said.text.strip().rpartition("\n")[2]
        answer = msgspec.json.decode(printed.encode(), type=_Answer)
    except (msgspec.MsgspecError, UnicodeError):
        return NvidiaDriver("failed", said=_last_line(said.text))
    if answer.code is not None:
        return NvidiaDriver(_NVML_CODES.get(answer.code, "failed"), said=answer.message)
    gpus = tuple(map(_gpu_of, answer.gpus))
    # 12040 is CUDA 12.4
    cuda = (answer.cuda // 1000, answer.cuda % 1000 // 10)
    return NvidiaDriver("works" if gpus else "no device", answer.driver, cuda, gpus)


def _gpu_of(gpu: _Gpu) -> NvidiaGpu:
    limit_w = None if gpu.power_limit_mw is None else gpu.power_limit_mw / MILLI
    return NvidiaGpu(
        name=gpu.name,
        capability=gpu.capability,
        memory_bytes=gpu.memory_bytes,
        power_limit_w=limit_w,
        pcie_generation=gpu.pcie_generation,
        pcie_width=gpu.pcie_width,
        free_bytes=gpu.free_bytes,
    )


def from_nvidia_smi(said: ToolOutput) -> NvidiaDriver:
    """From what ``nvidia-smi`` without options printed."""
    if said.status is None:
        return NvidiaDriver("silent")
    for part, state in _SMI_ERRORS.items():
        if part in said.text:
            return NvidiaDriver(state, said=" ".join(said.text.split())[:300])
    driver = re.search(r"Driver Version:\s*([\d.]+)", said.text)
    if driver is None:
        return NvidiaDriver("failed", said=_last_line(said.text))
    gpus = tuple(
        NvidiaGpu(
            name.removesuffix("...").strip(),
            memory_bytes=int(mib) << 20,
            power_limit_w=float(limit[1]) if (limit := _SMI_POWER_LIMIT.search(power)) else None,
        )
        for name, power, mib in _SMI_GPU.findall(said.text)
    )
    cuda = re.search(r"CUDA Version:\s*(\d+)\.(\d+)", said.text)
    if cuda is None:
        return NvidiaDriver("no CUDA", driver[1], None, gpus)
    version = (int(cuda[1]), int(cuda[2]))
    return NvidiaDriver("works" if gpus else "no device", driver[1], version, gpus)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
