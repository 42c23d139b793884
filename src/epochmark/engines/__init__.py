"""Who trains: one file per engine, found by file name; ``_shared.contract`` says what one is."""

from __future__ import annotations

import importlib
import pkgutil

from epochmark.engines._shared.contract import (
    Batch,
    Device,
    DeviceUnavailableError,
    Engine,
    EngineInfo,
    Labels,
    Operations,
    Pixels,
    Settings,
    Stopwatch,
    TrainingState,
    Tunable,
    UnavailableError,
    Weights,
)
from epochmark.engines._shared.requirements import Requirements

__all__ = [
    "Batch",
    "Device",
    "DeviceUnavailableError",
    "Engine",
    "EngineInfo",
    "Labels",
    "Operations",
    "Pixels",
    "Requirements",
    "Settings",
    "Stopwatch",
    "TrainingState",
    "Tunable",
    "UnavailableError",
    "Weights",
    "engine_names",
    "get_engine",
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
