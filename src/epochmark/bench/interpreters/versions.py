"""The environment of one version of an engine's framework: found, or made on request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from epochmark.bench.interpreters.interpreter import Interpreter, inspect
from epochmark.bench.interpreters.probe import import_problem
from epochmark.engines import EngineInfo
from epochmark.environments.install import install
from epochmark.environments.managed import Environment, Environments
from epochmark.environments.pip import OnLine
from epochmark.environments.requirements import check_python, environment_name
from epochmark.environments.versions import row_of_version

MakeEnvironment = Callable[[EngineInfo, str], Environment]
"""Finds or makes the environment of a version."""


def find_version(info: EngineInfo, version: str) -> Environment | None:
    """The environment with this version of the engine's framework, if it was made."""
    return Environments.of_user().find(environment_name(row_of_version(info, version)))


def make_version(
    info: EngineInfo, version: str, on_wait: Callable[[str], None], on_line: OnLine
) -> Environment:
    """Make it with our own interpreter, unless it is there and works. ``on_wait`` gets the process
    that installs now, ``on_line`` what goes on.

    Raises ``EpochmarkError`` where there is no such version, or it does not work here.
    """
    row = row_of_version(info, version)
    own = Interpreter.own()
    check_python(row, info.title, inspect(own, []).version)

    def problem_of(python: Path) -> str | None:
        return import_problem(info, replace(own, kind="managed", python=python))

    environments = Environments.of_user()
    with environments.changing(on_wait):
        return install(
            environments, row, f"{info.title} {version}", own.python, on_line, problem_of
        )
