"""Workloads are found by folder: ``mnist_cnn/`` holds ``mnist-cnn``, its golden losses and band.

A folder that does not fit together is no workload; ``damaged_workloads`` says why.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import json
import pkgutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Union

from epochmark.workloads.spec import Workload

PACKAGE = "epochmark.workloads"
GOLDEN_LOSSES = "golden_losses.json"
LEARNING_BAND = "learning_band.json"
TOLERANCES = "tolerances.json"
PARTS = {
    GOLDEN_LOSSES: ("spec_sha256", "replays"),
    LEARNING_BAND: ("epoch_losses", "test_accuracy"),
    TOLERANCES: ("replay", "continuation"),
}
"""What each file of evidence must have; only golden losses must be there."""
MAX_BYTES = 1 << 20
"""Of a file of evidence."""

NEWEST_REPLAY = 3
"""The replay that engines are given now: golden losses must have it. Records name theirs, and are
judged by its golden losses."""


UNTRAINED = ("name", "version", "summary", "only_if_named")
"""Fields of a workload that say nothing of what is trained."""


class DamagedError(ValueError):
    """A workload's folder does not fit together; the message says how and what to do."""


@dataclass(frozen=True)
class Damaged:
    """A folder that holds no workload that could be used."""

    name: str
    problem: str


class Workloads(Mapping[str, Workload]):
    """Every workload by name, read when first asked for; in the order of their names."""

    def __getitem__(self, name: str) -> Workload:
        found = _found(_path()).get(name)
        if not isinstance(found, Workload):
            raise KeyError(name)
        return found

    def __iter__(self) -> Iterator[str]:
        found = _found(_path())
        return iter(name for name, workload in found.items() if isinstance(workload, Workload))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def damaged_workloads() -> list[Damaged]:
    """Folders that look like a workload and cannot be used, by name."""
    return [folder for folder in _found(_path()).values() if isinstance(folder, Damaged)]


def read_workload(name: str) -> Workload:
    """What the folder of this name writes down, with or without evidence.

    Raises ``DamagedError`` where it writes down no workload of that name.
    """
    module = name.replace("-", "_")
    try:
        workload = importlib.import_module(f"{PACKAGE}.{module}").WORKLOAD
    except Exception as error:  # a mistake in one folder must not take the others away
        raise DamagedError(f"{module}/__init__.py cannot be loaded: {error}") from error
    if not isinstance(workload, Workload) or workload.name != name:
        raise DamagedError(f"{module}/__init__.py has no WORKLOAD called {name!r}")
    return workload


def evidence_file(workload: Workload, name: str) -> Path:
    """A file in the workload's folder, whether it is there or not."""
    folders = [Path(path, workload.name.replace("-", "_")) for path in _path()]
    return next((folder for folder in folders if folder.is_dir()), folders[0]) / name


def read_evidence(workload: Workload, name: str) -> dict[str, Any]:
    """A JSON document of the workload's folder; empty where there is no such file.

    Raises ``DamagedError`` for one that is no JSON object, or of another version.
    """
    file = evidence_file(workload, name)
    try:
        stored = _read_json(file, file.stat().st_mtime_ns)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedError(f"{name} cannot be read: {error}") from error
    if not isinstance(stored, dict) or stored.get("workload") != workload.name:
        raise DamagedError(f"{name} is not about {workload.name}")
    missing = [part for part in PARTS.get(name, ()) if part not in stored]
    if missing:
        raise DamagedError(f"{name} has no {missing[0]}")
    if stored.get("workload_version") != workload.version:
        raise DamagedError(
            f"{name} is of version {stored.get('workload_version')}, the workload of "
            f"{workload.version}: make it again ({_maker(name)})"
        )
    return stored


@functools.lru_cache(maxsize=64)
def _read_json(file: Path, changed_ns: int) -> Any:
    """A document as it was when the file was last changed."""
    with file.open("rb") as stream:
        return json.loads(stream.read(MAX_BYTES).decode("utf-8"))


def spec_digest(workload: Workload) -> str:
    """SHA-256 (hexadecimal) of everything that is written down, but for ``UNTRAINED``.

    It stands in the golden file: whoever changes a field and not the version is found out.
    """
    written = {
        field.name: _plain(getattr(workload, field.name))
        for field in fields(workload)
        if field.name not in UNTRAINED
    }
    text = json.dumps(written, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: Any) -> Any:
    """Words by their names, each with its fields."""
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, {field.name: _plain(getattr(value, field.name))
                                       for field in fields(value)}]  # fmt: skip
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


_KNOWN: dict[tuple[str, ...], dict[str, Union[Workload, Damaged]]] = {}


def _path() -> tuple[str, ...]:
    return tuple(sys.modules[PACKAGE].__path__)


def _found(path: tuple[str, ...]) -> dict[str, Union[Workload, Damaged]]:
    """Workloads and damaged folders by name."""
    if path not in _KNOWN:
        folders = [
            module.name
            for module in pkgutil.iter_modules(path)
            if module.ispkg and not module.name.startswith("_")
        ]
        _KNOWN[path] = {
            name: _read_checked(name)
            for name in sorted(folder.replace("_", "-") for folder in folders)
        }
    return _KNOWN[path]


def _read_checked(name: str) -> Union[Workload, Damaged]:
    try:
        workload = read_workload(name)
        _check(workload)
    except DamagedError as error:
        return Damaged(name, str(error))
    return workload


def _check(workload: Workload) -> None:
    stored, *_ = (read_evidence(workload, name) for name in PARTS)
    if not stored:
        raise DamagedError(f"it has no {GOLDEN_LOSSES}: make it ({_maker(GOLDEN_LOSSES)})")
    if stored.get("spec_sha256") != spec_digest(workload):
        raise DamagedError(
            f"what it writes down changed since {GOLDEN_LOSSES} was made, and version "
            f"{workload.version} did not: count it up and make them again "
            f"({_maker(GOLDEN_LOSSES)})"
        )
    if str(NEWEST_REPLAY) not in stored["replays"]:
        raise DamagedError(
            f"{GOLDEN_LOSSES} has no version {NEWEST_REPLAY} of the replay: make it "
            f"({_maker(GOLDEN_LOSSES)})"
        )


def _maker(name: str) -> str:
    return f"benchmarks/make_{name.replace('.json', '.py')}"
