"""Make our package importable in any interpreter, and nothing else of ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import epochmark


def with_our_package(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """``environment`` with a search path to a new folder in ``folder``, which holds nothing but a
    link to our package. What was on ``PYTHONPATH`` before comes after it."""
    importable = folder / "importable"
    importable.mkdir()
    (importable / "epochmark").symlink_to(Path(epochmark.__file__).parent)
    search_path = [str(importable), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(search_path)}
