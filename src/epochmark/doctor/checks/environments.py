"""Managed environments: are they whole?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.interpreters.packages import packages_of, spelled
from epochmark.doctor.contract import Check, Line, fault, note, ok
from epochmark.doctor.facts import Facts
from epochmark.engines import all_infos
from epochmark.environments.managed import (
    BUILDING_PREFIX,
    REMOVING_PREFIX,
    Environment,
    Environments,
)
from epochmark.environments.requirements import environment_name

_LEFTOVERS = (BUILDING_PREFIX, REMOVING_PREFIX)


def examine(facts: Facts) -> Iterator[Line]:
    """A line for each that is not whole, and one for all that are."""
    environments = Environments.of_user()
    known = environments.all()
    broken = {
        environment.manifest.name: line
        for environment in known
        if (line := broken_line(environment)) is not None
    }
    yield from broken.values()
    unused = [environment.manifest.name for environment in known if not _engines_of(environment)]
    yield from (
        note(f"{name}: no engine of this epochmark uses it", f"epochmark engines remove {name}")
        for name in unused
    )
    whole = len(known) - len({*broken, *unused})
    if whole:
        yield ok(f"{whole} environment{'' if whole == 1 else 's'}, nothing missing")
    yield from _others(environments.folder, {environment.folder.name for environment in known})


def broken_line(environment: Environment) -> Line | None:
    """What is missing in an environment; None where nothing is."""
    name = environment.manifest.name
    engines = _engines_of(environment)
    if not engines:
        return None
    accelerators = environment.manifest.accelerators
    build = f" --accelerator {accelerators[0]}" if len(accelerators) == 1 else ""
    again = f"epochmark engines install {engines[0]}{build}    (makes it again)"
    if not environment.python.exists():
        return fault(f"{name}: the Python it was made with is gone ({_goal(environment)})", again)
    there = packages_of(Interpreter.of_environment(environment))
    wanted = map(spelled, environment.manifest.installed)
    missing = sorted({package for package in wanted if package not in there})
    if missing:
        return fault(f"{name}: packages are missing: {', '.join(missing[:5])}", again)
    return None


def _engines_of(environment: Environment) -> list[str]:
    """The engines that an environment of this name is for."""
    name = environment.manifest.name
    return [
        info.name
        for info in all_infos()
        if any(environment_name(row) == name for row in info.requirements)
    ]


def _goal(environment: Environment) -> Path:
    """Where the link to its Python leads."""
    try:
        return environment.python.readlink()
    except OSError:
        return environment.python


def _others(folder: Path, known: set[str]) -> Iterator[Line]:
    """What else lies in the folder of environments."""
    if not folder.is_dir():
        return
    names = sorted(
        entry.name for entry in folder.iterdir() if entry.is_dir() and entry.name not in known
    )
    if any(name.startswith(_LEFTOVERS) for name in names):
        yield note(
            "leftovers of an install that was stopped, or one that is still running",
            "the next 'epochmark engines install' removes them",
        )
    for name in names:
        if not name.startswith("."):
            yield note(
                f"{name}: not an environment of this epochmark, or its manifest is damaged",
                f"rm -r {folder / name}    (if you do not know it either)",
            )


CHECK = Check(
    name="environments",
    looks_at="every managed environment: its interpreter, and the packages that its manifest names",
    notes="leftovers of installs that were stopped; environments that no engine uses; folders that "
    "are not ours",
    faults="an environment whose Python or packages are gone",
    examine=examine,
    needs_drivers=False,
)
