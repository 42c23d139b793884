"""Installed engines: was the build made for the GPU that is here, and for its driver?

Nothing is imported: a build shows in its packages (``engines._shared.builds``). What an engine
answered when it was last asked counts where that still holds; with ``--deep`` all are asked now.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from epochmark.bench.interpreters.answers import ask, asked_before
from epochmark.bench.interpreters.interpreter import Interpreter, look_for
from epochmark.bench.interpreters.packages import packages_of, spelled
from epochmark.bench.interpreters.probe import EngineStatus
from epochmark.bench.request import public_engines
from epochmark.doctor.contract import Check, Line, fault, note, ok
from epochmark.doctor.facts import Facts
from epochmark.engines import EngineInfo, Requirements, get_engine
from epochmark.engines._shared.builds import CudaVersion, InstalledBuild, installed_build
from epochmark.environments.install import size_text
from epochmark.environments.managed import Environments
from epochmark.environments.requirements import (
    Platform,
    environment_name,
    fitting_rows,
    missing_needs,
    rows_of_system,
)

_GPUS = {
    "cuda": "the NVIDIA GPU",
    "rocm": "the AMD GPU",
    "xpu": "the Intel GPU",
    "metal": "Apple's GPU",
    "tpu": "the TPU",
}
"""Accelerators that their owner wants to train on, the better ones first."""

_LEAST_DRIVER = {11: 450, 12: 525, 13: 580}
"""The oldest driver for each CUDA; minor versions do not count (NVIDIA, CUDA Compatibility)."""

_LEAST_CAPABILITY = {11: (3, 5), 12: (5, 0), 13: (7, 5)}
"""The oldest GPUs that each CUDA serves, by compute capability: 12 dropped Kepler, 13 Maxwell,
Pascal and Volta (CUDA Toolkit Release Notes)."""

_FIRST_CUDA: dict[int, CudaVersion] = {
    8: (11, 0),
    9: (11, 8),
    10: (12, 8),
    11: (13, 0),
    12: (12, 8),
}
"""The first CUDA for GPUs of each major compute capability: Ampere, Hopper, Blackwell (CUDA Toolkit
Release Notes)."""

_LIBRARY_FOLDERS = (
    "usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib",
    "usr/local/lib", "usr/local/cuda*/lib64", "opt/cuda/lib64",
)  # fmt: skip


@dataclass(frozen=True)
class EngineHere:
    """An installed engine. ``build`` is None where its packages do not show it; ``is_own``: in our
    own interpreter, not a managed environment. ``status`` is what it answered, if it was asked."""

    info: EngineInfo
    packages: dict[str, str] = field(default_factory=dict)
    build: InstalledBuild | None = None
    is_own: bool = False
    status: EngineStatus | None = None

    @property
    def title(self) -> str:
        """Its name, and the versions of its packages."""
        names = [spelled(name) for name in self.info.distributions]
        versions = [
            f"{name} {self.packages[name]}"
            for name in dict.fromkeys(names)
            if name in self.packages and name != "numpy"
        ]
        return f"{self.info.name} ({', '.join(versions)})" if versions else self.info.name


def examine(facts: Facts) -> Iterator[Line]:
    """A line for each installed engine, and one for all others."""
    infos = [get_engine(name).info for name in public_engines()]
    infos = [info for info in infos if info.modules]
    found = look_for(infos)
    absent = [info.name for info in infos if found[info.name].interpreter is None]
    for info in infos:
        interpreter = found[info.name].interpreter
        if interpreter is not None:
            yield engine_line(_look_at(info, interpreter, facts), facts)
            yield from _missing_needs(info)
    if absent:
        yield note(f"not installed: {', '.join(absent)}", "epochmark engines install NAME")


def _look_at(info: EngineInfo, interpreter: Interpreter, facts: Facts) -> EngineHere:
    packages = packages_of(interpreter)
    build = installed_build(
        info.builds, packages, facts.system, lambda name: has_library(name, facts)
    )
    status = ask(info, interpreter) if facts.deep else asked_before(info, interpreter)
    return EngineHere(info, packages, build, interpreter.kind == "own", status)


def has_library(name: str, facts: Facts) -> bool:
    """Whether a library whose file begins so is where loaders look."""
    folders = [folder for pattern in _LIBRARY_FOLDERS for folder in facts.root.glob(pattern)]
    named = facts.variables.get("LD_LIBRARY_PATH", "").split(":")
    folders += [Path(folder) for folder in named if folder]
    return any(any(folder.glob(f"{name}*")) for folder in folders)


def _missing_needs(info: EngineInfo) -> Iterator[Line]:
    """What the engine needs and pip cannot bring."""
    for row in fitting_rows(info, Platform.here())[:1]:
        for need in missing_needs(row):
            what, _, advice = need.partition(": ")
            yield fault(f"{info.name}: {what}", advice)


def engine_line(here: EngineHere, facts: Facts) -> Line:
    """Whether this engine can train on the best accelerator here that it is made for."""
    status = here.status
    if status is not None and status.state == "broken":
        return fault(f"{here.title}: {status.problem}", status.remedy or "epochmark engines")
    wanted = next(iter(_wanted(here.info, facts)), None)
    if wanted is None:
        return ok(f"{here.title}: {_devices(status) or 'the processor'}")
    trouble = _build_trouble(here, wanted, facts)
    if trouble is not None:
        return trouble
    if status is not None and not any(device.id != "cpu" for device in status.devices):
        return fault(
            f"{here.title} is made for {_GPUS[wanted]}, which works, but lists only: "
            f"{_devices(status)}",
            f"epochmark engines remove {here.info.name} && epochmark engines install "
            f"{here.info.name} --accelerator {wanted}",
        )
    return ok(f"{here.title}: {_devices(status) or _GPUS[wanted]}{_cuda_text(here)}")


def _build_trouble(here: EngineHere, wanted: str, facts: Facts) -> Line | None:
    """What is wrong with the build for the accelerator ``wanted``; None where nothing is."""
    if here.info.builds and here.build is None:
        return _unknown_build(here, wanted)
    if here.build is not None and here.build.build.accelerator != wanted:
        return fault(
            f"{here.title} is {here.build.build.title}: it cannot use {_GPUS[wanted]}",
            _other_build(here, wanted, facts),
        )
    return _cuda_trouble(here, facts) if wanted == "cuda" else None


def _wanted(info: EngineInfo, facts: Facts) -> Iterator[str]:
    """Usable accelerators that there are builds of the engine for, other than on request."""
    rows = _rows(info, facts)
    for accelerator in _GPUS:
        offered = any(accelerator in row.accelerators for row in rows)
        if offered and accelerator in facts.usable:
            yield accelerator


def _rows(info: EngineInfo, facts: Facts) -> list[Requirements]:
    architecture = "arm64" if facts.architecture == "aarch64" else facts.architecture
    machine = Platform(facts.system, architecture, facts.accelerators)
    return [row for row in rows_of_system(info, machine) if not row.on_request]


def _devices(status: EngineStatus | None) -> str:
    return "" if status is None else ", ".join(status.device_ids)


def _cuda_text(here: EngineHere) -> str:
    cuda = here.build.cuda if here.build is not None else None
    return "" if cuda is None else f", CUDA {cuda[0]}.{cuda[1]}"


def _unknown_build(here: EngineHere, wanted: str) -> Line:
    if _devices(here.status) not in ("", "cpu"):
        return ok(f"{here.title}: {_devices(here.status)}")
    return note(
        f"{here.title}: its packages do not show whether it can use {_GPUS[wanted]}",
        "epochmark doctor --deep",
    )


def _other_build(here: EngineHere, wanted: str, facts: Facts) -> str:
    """How to get the build for ``wanted``. Our own interpreter comes before environments, so there
    the environment's has to be named."""
    name = here.info.name
    row = next(row for row in _rows(here.info, facts) if wanted in row.accelerators)
    install = f"epochmark engines install {name} --accelerator {wanted}"
    if not here.is_own:
        return f"{install}    ({size_text(row)})"
    python = Environments.of_user().folder / environment_name(row) / "bin" / "python"
    return f"{install}, then: epochmark run {name} --device gpu --python {python}"


def _cuda_trouble(here: EngineHere, facts: Facts) -> Line | None:
    """Where driver, GPU and the CUDA of the build do not go together; None where they do."""
    cuda = here.build.cuda if here.build is not None else None
    if cuda is None:
        return None
    made_with = f"{here.title} is made with CUDA {cuda[0]}.{cuda[1]}"
    driver = facts.nvidia
    if driver.cuda is not None and cuda[0] > driver.cuda[0]:
        least = _LEAST_DRIVER.get(cuda[0])
        return fault(
            f"{made_with}, but the NVIDIA driver {driver.driver} serves CUDA up to "
            f"{driver.cuda[0]}.{driver.cuda[1]}",
            "update the NVIDIA driver" + (f" to {least} or newer" if least else ""),
        )
    for gpu in driver.gpus:
        if gpu.capability is None:
            continue
        which = f"{gpu.name} (compute capability {gpu.capability[0]}.{gpu.capability[1]})"
        first = _FIRST_CUDA.get(gpu.capability[0])
        if first is not None and cuda < first:
            return fault(
                f"{made_with}, which does not know {which}: it needs CUDA {first[0]}.{first[1]}",
                f"epochmark engines install {here.info.name} --accelerator cuda    (a newer build)",
            )
        if gpu.capability < _LEAST_CAPABILITY.get(cuda[0], (0, 0)):
            return fault(
                f"{made_with}, which no longer serves {which}",
                f"epochmark run {here.info.name} --device gpu --python PATH    (an interpreter "
                f"with a build for CUDA {cuda[0] - 1})",
            )
    return None


CHECK = Check(
    name="engines",
    looks_at="which engines are installed, what their builds are made for, which CUDA; with "
    "`--deep` the devices that each framework lists now",
    notes="engines that are not installed; a build that its packages do not show",
    faults="a build for the CPU, or TensorFlow without NVIDIA's packages, beside a GPU that works; "
    "a CUDA version that the driver or the GPU does not support; a framework that does not work",
    examine=examine,
    asks_frameworks=True,
)
