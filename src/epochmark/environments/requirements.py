"""Choose the row of the requirements table that fits this machine."""

from __future__ import annotations

import ctypes.util
import hashlib
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from epochmark.engines import EngineInfo, Requirements, engine_names, get_engine
from epochmark.engines._shared.requirements import SystemNeed
from epochmark.errors import EpochmarkError
from epochmark.hardware.accelerators import accelerators

NUMPY = "numpy>=1.22,<3"
"""What the worker itself needs, in every environment."""


@dataclass(frozen=True)
class Platform:
    """What decides which row fits: ``accelerators`` most specific first."""

    system: str
    architecture: str
    accelerators: tuple[str, ...]

    @classmethod
    def here(cls) -> Platform:
        """This machine."""
        architecture = platform.machine()
        return cls(
            system=platform.system(),
            architecture="arm64" if architecture == "aarch64" else architecture,
            accelerators=tuple(accelerators()),
        )


def fitting_rows(info: EngineInfo, machine: Platform) -> list[Requirements]:
    """Rows for this machine, best accelerator first."""
    return [
        row
        for accelerator in machine.accelerators
        for row in rows_of_system(info, machine)
        if accelerator in row.accelerators
    ]


def rows_of_system(info: EngineInfo, machine: Platform) -> list[Requirements]:
    """Rows for this operating system and architecture, whatever the accelerator."""
    return [
        row
        for row in info.requirements
        if machine.system in row.systems and machine.architecture in row.architectures
    ]


def choose_row(info: EngineInfo, machine: Platform, accelerator: str | None) -> Requirements:
    """The row to install: for ``accelerator``, else for the best one this machine has.

    Raises ``EpochmarkError`` (exit code 2) when there is none, naming those there are.
    """
    if not info.requirements:
        raise EpochmarkError(
            f"{info.name} needs nothing installed: it is part of epochmark", exit_code=2
        )
    if accelerator is not None:
        machine = Platform(machine.system, machine.architecture, (accelerator,))
    rows = [row for row in fitting_rows(info, machine) if accelerator or not row.on_request]
    if rows:
        return rows[0]
    known = sorted({_row_text(row) for row in info.requirements})
    wanted = "/".join(machine.accelerators)
    raise EpochmarkError(
        f"no packages of {info.title} are known for {machine.system} on {machine.architecture} "
        f"with {wanted}; they are known for: {', '.join(known)}.\n"
        f"If you have it in some interpreter: epochmark run {info.name} --python PATH",
        exit_code=2,
    )


def _row_text(row: Requirements) -> str:
    machine = f"{'/'.join(row.systems)} {'/'.join(row.architectures)}"
    return f"{machine} with {'/'.join(row.accelerators)}"


def check_python(row: Requirements, title: str, version: Sequence[int]) -> None:
    """Raise ``EpochmarkError`` (exit code 2) when no packages of this row exist for this Python."""
    if row.oldest_python <= tuple(version[:2]) <= row.newest_python:
        return
    oldest, newest = (".".join(map(str, bound)) for bound in (row.oldest_python, row.newest_python))
    raise EpochmarkError(
        f"{title} can be installed for Python {oldest} to {newest} here, and this is "
        f"{version[0]}.{version[1]}.\n"
        f"Choose another interpreter for the environment: --python python{newest}",
        exit_code=2,
    )


def missing_needs(row: Requirements) -> list[str]:
    """What the system lacks of what pip cannot bring, each with the advice how to get it."""
    return [f"{need.name} is missing: {need.advice}" for need in row.needs if not _is_there(need)]


def _is_there(need: SystemNeed) -> bool:
    if need.kind == "command":
        return shutil.which(need.name) is not None
    return ctypes.util.find_library(need.name) is not None


def environment_name(row: Requirements) -> str:
    """Name of the environment of a row: readable, and the same for equal requirements only."""
    what = repr((sorted(row.pip), row.accelerators, row.indexes, row.find_links))
    digest = hashlib.sha256(what.encode()).hexdigest()[:8]
    framework = row.pip[0].partition("[")[0]
    framework = "".join(c for c in framework.split("=")[0].split(">")[0] if c.isalnum() or c == "-")
    accelerator = row.accelerators[0] if len(row.accelerators) == 1 else "any"
    return f"{framework}-{accelerator}-{digest}"


def engines_sharing(row: Requirements) -> list[str]:
    """Engines that an environment made for this row serves."""
    name = environment_name(row)
    return [
        engine
        for engine in engine_names()
        if any(environment_name(other) == name for other in get_engine(engine).info.requirements)
    ]
