"""Who trains: one file per engine, found by file name; ``_shared.contract`` says what one is."""

from __future__ import annotations

import functools
import importlib
import pkgutil

from epochmark.engines._shared.contract import (
    Batch,
    Device,
    DeviceUnavailableError,
    Engine,
    Inputs,
    Operations,
    Settings,
    Stopwatch,
    Targets,
    TrainingState,
    UnavailableError,
    Weights,
)
from epochmark.engines._shared.info import EngineInfo, Support, Tunable, Variables
from epochmark.engines._shared.parallel import DataParallel, Group, Parallel, Replica
from epochmark.engines._shared.requirements import Requirements
from epochmark.workloads import Workload

__all__ = [
    "Batch",
    "DataParallel",
    "Device",
    "DeviceUnavailableError",
    "Engine",
    "EngineInfo",
    "Group",
    "Inputs",
    "Operations",
    "Parallel",
    "Replica",
    "Requirements",
    "Settings",
    "Stopwatch",
    "Support",
    "Targets",
    "TrainingState",
    "Tunable",
    "UnavailableError",
    "Variables",
    "Weights",
    "all_infos",
    "engine_names",
    "get_engine",
    "is_hidden",
    "offering",
]


def engine_names() -> list[str]:
    """Names of all engines that have a file here, sorted."""
    return sorted(
        module.name.replace("_", "-")
        for module in pkgutil.iter_modules(__path__)
        if not module.name.startswith("_")
    )


def get_engine(name: str) -> Engine:
    """The engine called ``name``; imports its file, not its framework. ``KeyError`` if unknown."""
    if name not in engine_names():
        raise KeyError(name)
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    engine: Engine = module.ENGINE
    return engine


def all_infos() -> tuple[EngineInfo, ...]:
    """What is known of every engine, by name; imports all files here, and no framework."""
    return _infos_in(tuple(__path__))


@functools.cache
def _infos_in(path: tuple[str, ...]) -> tuple[EngineInfo, ...]:
    return tuple(get_engine(name).info for name in engine_names())


def offering(workload: Workload) -> list[str]:
    """Names of the engines that can train this, without those that only test the tool."""
    return [info.name for info in all_infos() if not info.hidden and info.offers(workload)]


def is_hidden(family: str) -> bool:
    """Whether the engines of this family only test the tool; false of one that is not known."""
    return any(info.hidden and info.family == family for info in all_infos())
