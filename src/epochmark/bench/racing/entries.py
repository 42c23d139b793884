"""What an entry of a race is called on the command line, and the run that it stands for."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from epochmark.bench.interpreters.interpreter import Interpreter, choose_interpreter
from epochmark.bench.interpreters.versions import MakeEnvironment
from epochmark.bench.plan import ALL, PlannedRun, planned_in
from epochmark.bench.request import RunRequest, public_engines
from epochmark.engines import engine_names, get_engine
from epochmark.errors import EpochmarkError, unknown
from epochmark.folders import in_home
from epochmark.records.documents.race import MOST_ENTRIES

FORM = "ENGINE[:tuned][@VERSION or @PYTHON][+threads=N]"

_VERSION = re.compile(r"[0-9]{1,5}(\.[0-9]{1,5}){0,3}")


@dataclass(frozen=True)
class Entry:
    """``torch:tuned@2.12+threads=2``; ``where`` is the version of its framework, or an
    interpreter's path. None: as ``run`` finds them."""

    name: str
    engine: str
    tuned: bool = False
    where: str | None = None
    threads: int | None = None

    @property
    def shown(self) -> str:
        """The name without the folders of a path, which are the user's own."""
        return self.name if self.is_version else re.sub("@.*/", "@", self.name)

    @property
    def is_version(self) -> bool:
        """Whether ``where`` is a version."""
        return self.where is not None and _VERSION.fullmatch(self.where) is not None


def parse_entries(names: list[str]) -> list[Entry]:
    """The entries called so, of which two may be equal: that race shows what a race can tell.

    Raises ``EpochmarkError`` (exit code 2) for what is none, and for too few or too many.
    """
    if not 2 <= len(names) <= MOST_ENTRIES:
        raise EpochmarkError(
            f"a race has 2 to {MOST_ENTRIES} entries, not {len(names)}", exit_code=2
        )
    return [parse_entry(name) for name in names]


def parse_entry(name: str) -> Entry:
    """The entry called so. Raises ``EpochmarkError`` (exit code 2) for what is none."""
    rest, threads = _split_setting(name)
    start, at, where = rest.partition("@")
    engine, colon, tuning = start.partition(":")
    if engine not in engine_names():
        raise unknown("engine", engine, public_engines())
    if colon and tuning != "tuned":
        raise unknown("tuning", tuning, ["tuned"])
    entry = Entry(name, engine, bool(colon), where if at else None, threads)
    if at and not entry.is_version and not _may_be_interpreter(where):
        raise EpochmarkError(
            f"{name}: {where!r} is neither a version, such as {engine}@2.12, nor an interpreter",
            exit_code=2,
        )
    return entry


def _may_be_interpreter(where: str) -> bool:
    """Whether there is a file or a program called so, which may still be no interpreter."""
    path = in_home(Path(where).expanduser, f"use another interpreter than {where}")
    return path.exists() or shutil.which(where) is not None


def _split_setting(name: str) -> tuple[str, int | None]:
    """An entry without its setting, and the number of threads that this names."""
    rest, plus, setting = name.rpartition("+")
    word, equals, value = setting.partition("=")
    if not plus or not equals or "/" in setting:
        return name, None
    if word == "devices":
        raise EpochmarkError(
            f"{name}: an entry of a race is on one device; 'epochmark scale' compares numbers of "
            "them",
            exit_code=2,
        )
    if word != "threads":
        raise unknown("setting of an entry", word, ["threads"])
    if not re.fullmatch("[1-9][0-9]{0,4}", value):
        raise EpochmarkError(f"{name}: threads wants a number, such as +threads=2", exit_code=2)
    return rest, int(value)


def planned_entry(entry: Entry, asked: RunRequest, make: MakeEnvironment) -> PlannedRun:
    """The run that an entry stands for; ``make`` finds or makes the environment of a version.

    Raises ``EpochmarkError`` for what cannot be run here, before anything is measured.
    """
    request = replace(
        asked,
        engine=entry.engine,
        tuning="tuned" if entry.tuned else "stock",
        threads=entry.threads,
    )
    if request.device == ALL:
        raise EpochmarkError("a race is on one device; name it with --device", exit_code=2)
    request.check()
    return planned_in(_interpreter_of(entry, make), request)


def _interpreter_of(entry: Entry, make: MakeEnvironment) -> Interpreter:
    info = get_engine(entry.engine).info
    if entry.where is not None and entry.is_version:
        return Interpreter.of_environment(make(info, entry.where))
    return choose_interpreter(info, entry.where)
