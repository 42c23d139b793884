"""Which Python a worker runs in: our own, a managed environment's, or one the user names."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NoReturn

import msgspec

from epochmark.bench.interpreters.environment import (
    foreign_environment,
    own_environment,
    with_our_packages,
)
from epochmark.bench.process.temporary import temporary_folder
from epochmark.engines import EngineInfo
from epochmark.environments.managed import Environment, Environments
from epochmark.environments.requirements import Platform
from epochmark.errors import EpochmarkError
from epochmark.folders import in_home

OLDEST_PYTHON = (3, 9)
INSPECTION_S = 60.0
"""A Python that starts takes 0.02 s here; a cold network disk or a busy machine takes longer."""

_INSPECT = """
import sys
version = list(sys.version_info[:2])
missing = []
if version >= [3, 4]:
    from importlib.util import find_spec
    for name in sys.argv[1:]:
        try:
            # the package only: to look for a module inside it would import it
            if find_spec(name.split(".")[0]) is None:
                missing.append(name)
        except Exception:
            missing.append(name)
import json
sys.stdout.write("\\nepochmark " + json.dumps({"version": version, "missing": missing}) + "\\n")
"""
"""Valid in every Python since 2.6; finds modules without importing them."""


@dataclass(frozen=True)
class Interpreter:
    """A Python to run workers in. ``python`` is as named: links in it keep their meaning."""

    kind: Literal["own", "managed", "foreign"]
    python: Path
    environment: Mapping[str, str] = field(repr=False)
    managed: Environment | None = None

    @classmethod
    def own(cls) -> Interpreter:
        """The one that runs us, from the allow-listed environment."""
        environment = with_our_packages(own_environment(os.environ))
        return cls("own", Path(sys.executable), environment)

    @classmethod
    def of_environment(cls, environment: Environment) -> Interpreter:
        """That of a managed environment, from the allow-listed environment."""
        return cls("managed", environment.python, own_environment(os.environ), environment)

    @classmethod
    def foreign(cls, name: str) -> Interpreter:
        """One the user names, by path or by a name on the PATH; it inherits everything.

        A version manager's stand-in picks another Python in another folder: there the one that it
        picks here is taken. Raises ``EpochmarkError`` (exit code 2) for what cannot be executed.
        """
        path = in_home(Path(name).expanduser, f"use another --python than {name}")
        if path.is_dir():
            inside = path / "bin" / "python"
            hint = f"; its interpreter is {inside}" if inside.exists() else ""
            _refuse(f"--python {name} is a folder, not an interpreter{hint}")
        found = shutil.which(str(path)) if os.sep in str(path) else shutil.which(name)
        if found is None:
            what = "cannot be executed" if path.exists() else "does not exist"
            _refuse(f"--python {name}: no such interpreter; it {what}")
        named = cls("foreign", Path(found).absolute(), foreign_environment(os.environ))
        return replace(named, python=_picked_here(named))

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Keep a managed environment from being removed."""
        with self.managed.in_use() if self.managed else contextlib.nullcontext():
            yield


class Inspection(msgspec.Struct, frozen=True):
    """What an interpreter is, found out without importing any framework."""

    version: tuple[int, int]
    missing: tuple[str, ...]

    @property
    def version_text(self) -> str:
        return ".".join(map(str, self.version))


def inspect(interpreter: Interpreter, modules: Sequence[str]) -> Inspection:
    """Its version, and which of ``modules`` it cannot import.

    Raises ``EpochmarkError`` (exit code 2) for what is no Python.
    """
    python = interpreter.python
    try:
        with temporary_folder("inspection") as empty:
            answer = subprocess.run(
                [str(python), "-c", _INSPECT, *modules],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                env=dict(interpreter.environment),
                cwd=empty,
                timeout=INSPECTION_S,
                check=False,
            )
        marked = [line for line in answer.stdout.splitlines() if line.startswith(b"epochmark ")]
        return msgspec.json.decode(marked[-1].removeprefix(b"epochmark "), type=Inspection)
    except OSError as error:
        _refuse(f"the interpreter {python} cannot be started: {error.strerror}")
    except (IndexError, msgspec.MsgspecError):
        last = answer.stderr.decode(errors="replace").strip().splitlines()[-1:]
        printed = f"; it says: {last[0][:300]}" if last else ""
        _refuse(f"{python} does not answer like a Python interpreter{printed}")
    except subprocess.TimeoutExpired:
        _refuse(
            f"{python} does not answer like a Python interpreter: nothing came in "
            f"{INSPECTION_S:.0f} s"
        )


def _picked_here(interpreter: Interpreter) -> Path:
    """The executable that ``interpreter`` is when it is started in the user's folder, if that is
    another one than elsewhere; otherwise as it is named, since a script may do more than to
    choose."""
    here = _executable(interpreter, None)
    with temporary_folder("interpreter") as elsewhere:
        same = here is None or here == _executable(interpreter, elsewhere)
    return interpreter.python if here is None or same else here


def _executable(interpreter: Interpreter, folder: Path | None) -> Path | None:
    """What it calls itself in that folder; None for what does not answer like a Python."""
    try:
        answer = subprocess.run(
            [str(interpreter.python), "-c", "import sys; print(sys.executable)"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env=dict(interpreter.environment),
            cwd=folder,
            timeout=INSPECTION_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    path = Path((answer.splitlines() or [""])[-1])
    return path if path.is_absolute() and path.exists() else None


@dataclass(frozen=True)
class Whereabouts:
    """Where an engine is: ``interpreter`` is None for one that is not installed. ``missing`` are
    its modules that our own interpreter lacks."""

    interpreter: Interpreter | None
    missing: tuple[str, ...]


def look_for(infos: Sequence[EngineInfo]) -> dict[str, Whereabouts]:
    """Where each engine is, by name: in our interpreter if that has its modules, else in a managed
    environment made for it. Our own is looked at once for all of them."""
    own = Interpreter.own()
    modules = [*dict.fromkeys(module for info in infos for module in info.modules)]
    lacking = set(inspect(own, modules).missing) if modules else set()
    found = {}
    for info in infos:
        missing = tuple(module for module in info.modules if module in lacking)
        found[info.name] = Whereabouts(_managed(info) if missing else own, missing)
    return found


def _managed(info: EngineInfo) -> Interpreter | None:
    environment = Environments.of_user().ready_for(info, Platform.here())
    return None if environment is None else Interpreter.of_environment(environment)


def find_interpreter(info: EngineInfo) -> Interpreter | None:
    """Ours if it has the engine's modules, else a managed environment made for the engine."""
    return look_for([info])[info.name].interpreter


def choose_interpreter(info: EngineInfo, python: str | None) -> Interpreter:
    """The interpreter to run an engine in: ``python`` if named, else the one found.

    Raises ``EpochmarkError`` (exit code 2), which names the command that helps.
    """
    if python is not None:
        return _checked_foreign(info, python)
    found = look_for([info])[info.name]
    if found.interpreter is not None:
        return found.interpreter
    missing = found.missing
    several = "s" if len(missing) > 1 else ""
    raise EpochmarkError(
        f"{info.title} is not installed: this interpreter lacks the module{several} "
        f"{', '.join(missing)}, and no environment was made for {info.name}.\n"
        f"epochmark engines install {info.name}    makes one\n"
        f"epochmark run {info.name} --python PATH  uses an interpreter that has it",
        exit_code=2,
    )


def _checked_foreign(info: EngineInfo, python: str) -> Interpreter:
    interpreter = Interpreter.foreign(python)
    found = inspect(interpreter, ["numpy", *info.modules])
    named = f"{interpreter.python} (Python {found.version_text})"
    if found.version < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        _refuse(f"{named} is too old: a worker needs Python {oldest} or newer")
    if found.missing:
        _refuse(
            f"{named} lacks what {info.title} needs: {', '.join(found.missing)}.\n"
            "epochmark installs nothing there: use that interpreter's own pip or conda"
        )
    return interpreter


def _refuse(message: str) -> NoReturn:
    raise EpochmarkError(message, exit_code=2)
