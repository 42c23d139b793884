"""The checks, one file each, found by file name; ``doctor.contract`` says what one is."""

from __future__ import annotations

import importlib
import pkgutil

from epochmark.doctor.contract import Check

__all__ = ["all_checks"]

_ORDER = (
    "nvidia", "amd", "wsl", "no_gpu", "engines", "environments", "processor", "power", "memory",
    "disk", "data", "network",
)  # fmt: skip
"""In which their lines are shown; what is not named here comes last."""


def all_checks() -> list[Check]:
    """Every check there is, in order."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    names.sort(key=lambda name: _ORDER.index(name) if name in _ORDER else len(_ORDER))
    return [importlib.import_module(f"{__name__}.{name}").CHECK for name in names]
