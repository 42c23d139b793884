"""Devices of tinygrad: its CPU, through clang, or the first of its GPU back ends that opens."""

from __future__ import annotations

from typing import List, Optional

from tinygrad import Device as Devices
from tinygrad import helpers

from epochmark.engines._shared.contract import Device, DeviceUnavailableError

GPU_BACKENDS = ("METAL", "AMD", "NV", "CUDA", "QCOM", "CL", "WEBGPU")
"""In the order in which tinygrad itself looks for a default device."""

NO_CLANG = (
    "tinygrad compiles its CPU kernels with clang, and there is none on the PATH. "
    "Debian, Ubuntu: apt install clang   Fedora: dnf install clang   macOS: xcode-select --install"
)


def use_no_cache() -> None:
    """Compile every kernel in every run: tinygrad keeps those of earlier runs on disk, so that
    only the first run on a machine would show what compiling costs."""
    helpers.CACHELEVEL.value = 0


def list_devices() -> List[Device]:
    """Every device tinygrad can open here."""
    use_no_cache()
    cpu = [Device("cpu", "the processor, through clang")] if _opens("CPU") else []
    return cpu + _gpus(_gpu_backend())


def require_clang() -> None:
    """Raise ``DeviceUnavailableError`` where tinygrad's CPU device lacks its compiler."""
    try:
        Devices["CPU"]
    except FileNotFoundError as error:
        if error.filename == "clang":
            raise DeviceUnavailableError(NO_CLANG) from error
        raise


def tinygrad_name(device_id: str) -> str:
    """``gpu:1`` as tinygrad calls it (``CL:1``)."""
    kind, _, index = device_id.partition(":")
    if kind == "cpu":
        return "CPU"
    backend = _gpu_backend()
    return f"{backend}:{index}" if index != "0" else str(backend)


def device_id(name: str, opened: str) -> str:
    """tinygrad's name of a device as ours; one of another back end than ``opened`` keeps its."""
    backend, _, index = name.partition(":")
    if backend == "CPU":
        return "cpu"
    if backend == opened.partition(":")[0]:
        return f"gpu:{index or 0}"
    return name


def _opens(backend: str) -> bool:
    """Whether tinygrad can open this back end here. Opening is the only way to find out, and each
    fails in its own way (a missing library, no such device file, an ``ExceptionGroup``)."""
    try:
        Devices[backend]
    except Exception:
        return False
    return True


def _gpu_backend() -> Optional[str]:
    asked_for = helpers.DEV.device
    backends = (asked_for,) if asked_for in GPU_BACKENDS else GPU_BACKENDS
    return next(filter(_opens, backends), None)


def _gpus(backend: Optional[str]) -> List[Device]:
    if backend is None:
        return []
    first = Devices[backend]
    name = getattr(first, "device_name", None) or first.arch
    return [Device(f"gpu:{index}", f"{backend}, {name}") for index in range(first.count())]
