"""The Windows Subsystem for Linux: does Windows hand its GPU through?"""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.doctor.contract import Check, Line, fault, note, ok
from epochmark.doctor.facts import Facts

_WINDOWS_LIBRARY = "usr/lib/wsl/lib/libcuda.so.1"
_LINUX_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib64", "usr/lib/aarch64-linux-gnu")


def examine(facts: Facts) -> Iterator[Line]:
    """One line at most; the GPUs themselves are the other checks'."""
    if facts.wsl == 1:
        yield note("WSL 1 has no GPUs", "in Windows: wsl --set-version DISTRIBUTION 2")
    elif facts.wsl == 2:
        yield _wsl_2(facts)


def _wsl_2(facts: Facts) -> Line:
    if facts.nvidia.state == "works":
        return ok("Windows passes its NVIDIA GPU through")
    if not (facts.root / "dev/dxg").exists():
        return note(
            "Windows passes no GPU through (no /dev/dxg)",
            "in Windows: wsl --update, then wsl --shutdown",
        )
    if not (facts.root / _WINDOWS_LIBRARY).exists():
        return note(
            "Windows passes a GPU through, but has no NVIDIA driver; AMD's need ROCm for WSL",
            "install the GPU's newest driver in Windows; never a Linux driver in WSL",
        )
    if any((facts.root / folder / "libcuda.so.1").exists() for folder in _LINUX_LIBRARIES):
        return fault(
            "a Linux driver of NVIDIA's inside WSL hides that of Windows",
            "sudo apt purge 'nvidia-driver-*' 'libnvidia-compute-*'",
        )
    if facts.nvidia.state == "no library":
        return fault("WSL's own libraries are not found by the loader", "sudo ldconfig")
    said = f" ({facts.nvidia.said})" if facts.nvidia.said else ""
    return fault(
        f"the NVIDIA driver of Windows does not work in WSL{said}",
        "install NVIDIA's newest driver in Windows, then there: wsl --update; wsl --shutdown",
    )


CHECK = Check(
    name="WSL",
    looks_at="WSL's version, `/dev/dxg`, the libraries that Windows puts into WSL",
    notes="WSL 1; Windows passes no GPU through, or has no NVIDIA driver",
    faults="a Linux driver that hides Windows's; a driver of Windows that does not work",
    examine=examine,
)
