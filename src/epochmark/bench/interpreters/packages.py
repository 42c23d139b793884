"""The packages that an interpreter has, by the names of their folders: nothing is imported."""

from __future__ import annotations

import os
import site
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from epochmark.bench.interpreters.interpreter import Interpreter

_METADATA = (".dist-info", ".egg-info")


def package_folders(interpreter: Interpreter) -> list[Path]:
    """Where the packages of one of our interpreters are, own or managed."""
    if interpreter.managed is not None:
        return sorted(interpreter.managed.folder.glob("lib*/python3*/site-packages"))
    named = filter(None, interpreter.environment.get("PYTHONPATH", "").split(os.pathsep))
    own = (sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages())
    return [Path(folder) for folder in dict.fromkeys((*named, *own))]


def packages_of(interpreter: Interpreter) -> dict[str, str]:
    """Versions by name; names in lower case with hyphens."""
    found: dict[str, str] = {}
    for folder in package_folders(interpreter):
        for entry in entries_of(folder):
            path = Path(entry.name)
            name, _, version = path.stem.partition("-")
            if path.suffix in _METADATA and version:
                # `torch-2.5.1-py3.12.egg-info`
                found.setdefault(spelled(name), version.partition("-py")[0])
    return found


def spelled(name: str) -> str:
    """A package's name in one spelling of the many that mean the same."""
    return name.lower().replace("_", "-").replace(".", "-")


def entries_of(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, in no order; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return
