"""NVIDIA's GPUs: is the driver there, does it work, may it be used from here?"""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.doctor.contract import Check, Line, fault, note, ok
from epochmark.doctor.facts import Facts
from epochmark.hardware.gpus.nvidia import DriverState, NvidiaDriver, NvidiaGpu

_INSTALL = {
    "ubuntu": "sudo ubuntu-drivers install && sudo reboot",
    "debian": "sudo apt install nvidia-driver && sudo reboot    (from the component non-free)",
    "fedora": "sudo dnf install akmod-nvidia && sudo reboot    (from RPM Fusion)",
    "arch": "sudo pacman -S nvidia-open && sudo reboot",
}
"""How distributions install NVIDIA's driver, by their IDs."""

_INSTALL_ANYWHERE = "install the driver from https://www.nvidia.com/drivers, then restart"

_START = {
    "Docker": "docker run --gpus all ...    (the host needs NVIDIA's Container Toolkit)",
    "Podman": "podman run --device nvidia.com/gpu=all ...    (NVIDIA's Container Toolkit, CDI)",
    "Apptainer": "apptainer run --nv ...",
    "Kubernetes": "ask for it in the pod: resources: {limits: {nvidia.com/gpu: 1}}",
}
"""How containers get an NVIDIA GPU."""

_START_ANYWHERE = "start the container again with the devices /dev/nvidia*"

_TROUBLE: dict[DriverState, tuple[str, str]] = {
    "not loaded": (
        "the NVIDIA driver is installed, but the kernel has not loaded it",
        "sudo modprobe nvidia    (after an update of the kernel: install the driver again)",
    ),
    "mismatch": (
        "the NVIDIA driver was updated while its old version is still running",
        "sudo reboot",
    ),
    "refused": (
        "the NVIDIA driver denies access from here",
        "ls -l /dev/nvidia*    shows who may use it; start again with those rights",
    ),
    "lost": (
        "the NVIDIA driver has lost a GPU: power, heat, a loose card or a defect",
        "sudo reboot",
    ),
    "no device": ("the NVIDIA driver runs and finds no GPU", "sudo reboot"),
    "no CUDA": (
        "the NVIDIA driver runs, but offers no CUDA: libcuda is missing, or the driver is too old",
        "install NVIDIA's newest driver in full, with libcuda (Ubuntu, Debian: libcuda1)",
    ),
    "silent": (
        "the NVIDIA driver did not answer within 2 seconds",
        "sudo reboot    (if nvidia-smi hangs as well)",
    ),
    "failed": ("the NVIDIA driver could not be asked", "nvidia-smi    says more"),
}
"""What is wrong, and what fixes it, where the driver does not work outside of a container."""


def examine(facts: Facts) -> Iterator[Line]:
    """One line a GPU, or one for what keeps the driver from working."""
    if facts.nvidia.state == "works":
        yield from (ok(_gpu_text(gpu, facts.nvidia)) for gpu in facts.nvidia.gpus)
        yield from _hidden(facts)
    elif facts.wsl is None and (facts.cards_of("NVIDIA") or "cuda" in facts.accelerators):
        yield _trouble(facts)


def _gpu_text(gpu: NvidiaGpu, driver: NvidiaDriver) -> str:
    parts = [gpu.name]
    if gpu.memory_bytes is not None:
        parts.append(f"{gpu.memory_bytes / 2**30:.1f} GiB")
    if gpu.capability is not None:
        parts.append(f"compute capability {gpu.capability[0]}.{gpu.capability[1]}")
    cuda = "" if driver.cuda is None else f", CUDA up to {driver.cuda[0]}.{driver.cuda[1]}"
    return f"{', '.join(parts)}; driver {driver.driver}{cuda}"


def _trouble(facts: Facts) -> Line:
    held = {card.driver for card in facts.cards_of("NVIDIA")}
    if held == {"vfio-pci"}:
        return note("the NVIDIA GPU is reserved for virtual machines (vfio-pci)")
    if held and "nvidia" not in held:
        return _without_driver(facts, held)
    if facts.container is not None:
        return _in_container(facts)
    if facts.nvidia.state == "no library":
        return fault(
            "the NVIDIA driver runs in the kernel, but its libraries are not installed",
            _install(facts),
        )
    text, remedy = _TROUBLE[facts.nvidia.state]
    return fault(f"{text}{_said(facts)}", remedy)


def _without_driver(facts: Facts, held: set[str | None]) -> Line:
    """A card without NVIDIA's own driver; ``held`` are the drivers that have it."""
    other = next((driver for driver in held if driver is not None), None)
    instead = f", only {other}, which no framework trains on" if other else ""
    where = " on the host of this container" if facts.container else ""
    return fault(f"an NVIDIA GPU without NVIDIA's driver{where}{instead}", _install(facts))


def _in_container(facts: Facts) -> Line:
    if facts.nvidia.state == "refused":
        return fault(
            "this container has lost its right to the NVIDIA GPU, as happens after a "
            f"'systemctl daemon-reload' on the host{_said(facts)}",
            "restart the container",
        )
    if facts.nvidia.state in ("no library", "not loaded", "no device"):
        return fault(
            "an NVIDIA GPU is in this machine, but not in this container",
            _START.get(facts.container or "", _START_ANYWHERE),
        )
    text, remedy = _TROUBLE[facts.nvidia.state]
    return fault(f"{text}{_said(facts)}", f"on the host: {remedy}")


def _install(facts: Facts) -> str:
    if facts.container is not None:
        return _INSTALL_ANYWHERE
    return next(
        (_INSTALL[name] for name in facts.distribution if name in _INSTALL), _INSTALL_ANYWHERE
    )


def _said(facts: Facts) -> str:
    return f" ({facts.nvidia.said})" if facts.nvidia.said else ""


def _hidden(facts: Facts) -> Iterator[Line]:
    """GPUs that a variable hides from frameworks."""
    value = facts.variables.get("CUDA_VISIBLE_DEVICES")
    if facts.hides_cuda:
        yield note(
            f"CUDA_VISIBLE_DEVICES={value} hides every NVIDIA GPU from frameworks",
            "unset CUDA_VISIBLE_DEVICES",
        )
    elif value is not None and len(value.split(",")) < len(facts.nvidia.gpus):
        yield note(f"CUDA_VISIBLE_DEVICES={value} shows frameworks only these GPUs")


CHECK = Check(
    name="NVIDIA",
    looks_at="cards on the bus, the kernel's driver, NVML or nvidia-smi, device files, variables",
    notes="a GPU reserved for virtual machines; one that `CUDA_VISIBLE_DEVICES` hides",
    faults="a GPU without a driver; a driver that is not loaded, does not match its libraries, "
    "has lost a GPU or does not answer; a container without the device",
    examine=examine,
)
