"""``epochmark engines``: what can train here, and installing what cannot yet."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._completion import complete_engine
from epochmark.cli._guard import described, guarded
from epochmark.cli._program import JsonOption, add_commands, group

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from epochmark.bench.interpreters.probe import EngineStatus
    from epochmark.engines import EngineInfo, Requirements
    from epochmark.environments.managed import Environments
    from epochmark.errors import EpochmarkError

RefreshOption = Annotated[
    bool, typer.Option("--refresh", help="Ask every engine again instead of showing kept answers.")
]


@described(
    """Show where each engine is ready, or what it lacks.

    Its versions and devices are listed. Asking an engine imports its framework in a separate
    process, which takes seconds, so its answer is kept until its environment or a driver changes.
    """
)
def list_engines(json: JsonOption = False, refresh: RefreshOption = False) -> None:
    from epochmark.cli._console import print_json, say
    from epochmark.cli._probing import probe_engines
    from epochmark.cli._tables import print_rows
    from epochmark.report.tables.engines import (
        ENGINE_COLUMNS,
        asked_note,
        engine_notes,
        engine_rows,
    )

    statuses = [_with_versions(status) for status in probe_engines(refresh)]
    if json:
        print_json(statuses)
        return
    print_rows(ENGINE_COLUMNS, engine_rows(statuses))
    notes = engine_notes(statuses)
    if notes:
        say("", *notes)
    if asked := asked_note(statuses):
        say("", asked)


def _with_versions(status: EngineStatus) -> EngineStatus:
    """With the versions that were made for races."""
    from msgspec.structs import replace

    from epochmark.engines import get_engine
    from epochmark.environments.managed import Environments
    from epochmark.environments.versions import versions_made

    made = versions_made(Environments.of_user(), get_engine(status.engine).info)
    names = {version: environment.manifest.name for version, environment in made.items()}
    return replace(status, other_versions=names)


@described(
    """Install engines, each into its own environment.

    Engines with the same requirements share one. pip does the work, from the sources it is
    configured for. Without an NVIDIA GPU, builds for the CPU are installed. An interrupted install
    leaves nothing behind; a working one is not repeated. With --all, one failure does not stop the
    others.
    """
)
def install(
    engines: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Engines to install.", autocompletion=complete_engine),
    ] = None,
    all_engines: Annotated[
        bool, typer.Option("--all", help="Install every engine that has packages for this machine.")
    ] = False,
    accelerator: Annotated[
        str | None,
        typer.Option(
            metavar="cpu|cuda|rocm|metal|...",
            help="Install the build for this. Default: the best that this machine has.",
        ),
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            metavar="PATH",
            help="Make the environment with this interpreter. Default: the one epochmark runs in.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    from epochmark.cli._console import print_json, remark, say
    from epochmark.cli._probing import activity
    from epochmark.environments.install import install as make
    from epochmark.environments.install import size_text
    from epochmark.environments.managed import Environments
    from epochmark.environments.requirements import engines_sharing, missing_needs
    from epochmark.errors import EpochmarkError

    infos = _infos(engines or [], all_engines)
    environments = Environments.of_user()
    failures: list[EpochmarkError] = []

    def failed(error: EpochmarkError) -> None:
        if not all_engines:
            raise error
        remark(f"left out: {error}")
        failures.append(error)

    interpreter, rows = _rows_to_install(infos, accelerator, python, environments, failed)
    made = []
    with environments.changing(
        lambda holder: remark(f"another install (process {holder}) is running; waiting for it")
    ):
        for name, row in rows.items():
            title = ", ".join(info.name for info in infos if row in info.requirements)
            if environments.find(name) is None:
                remark(f"{title}: {size_text(row)}, into {environments.folder / name}")
            try:
                with activity(title) as on_line:
                    environment = make(
                        environments, row, title, interpreter, on_line, _problem_of(row)
                    )
            except EpochmarkError as error:
                failed(error)
                continue
            made.append(environment.manifest)
            if not json:
                serves = ", ".join(engines_sharing(row))
                say(f"{name} is ready, for: {serves}")
            for need in missing_needs(row):
                remark(f"{title}: {need}")
    if json:
        print_json(made)
    if failures:
        raise typer.Exit(1)


def _problem_of(row: Requirements) -> Callable[[Path], str | None]:
    """What an engine of this row lacks in an interpreter; nothing is held against packages where
    the system lacks what pip cannot bring, which is said anyway."""
    from epochmark.bench.interpreters.interpreter import Interpreter
    from epochmark.bench.interpreters.probe import import_problem
    from epochmark.engines import get_engine
    from epochmark.environments.requirements import engines_sharing, missing_needs

    def problem_of(python: Path) -> str | None:
        interpreter = replace(Interpreter.own(), kind="managed", python=python)
        problems = (
            import_problem(get_engine(engine).info, interpreter) for engine in engines_sharing(row)
        )
        return None if missing_needs(row) else next(filter(None, problems), None)

    return problem_of


def _rows_to_install(
    infos: list[EngineInfo],
    accelerator: str | None,
    python: str | None,
    environments: Environments,
    failed: Callable[[EpochmarkError], None],
) -> tuple[Path, dict[str, Requirements]]:
    """The interpreter to make environments with, and the rows by the environments' names.

    ``failed`` hears, before anything is changed, which engine does not go with the interpreter
    or the accelerator, or has its environment with another Python.
    """
    from epochmark.bench.interpreters.interpreter import Interpreter, inspect
    from epochmark.environments.requirements import (
        Platform,
        check_python,
        choose_row,
        environment_name,
    )
    from epochmark.errors import EpochmarkError

    interpreter = Interpreter.own() if python is None else Interpreter.foreign(python)
    version = inspect(interpreter, []).version
    machine = Platform.here()
    rows = {}
    for info in infos:
        try:
            row = choose_row(info, machine, accelerator)
            check_python(row, info.title, version)
            if python is not None:
                environments.check_python(environment_name(row), version)
        except EpochmarkError as error:
            failed(error)
            continue
        rows[environment_name(row)] = row
    return interpreter.python, rows


def _infos(names: list[str], all_engines: bool) -> list[EngineInfo]:
    """Raises ``EpochmarkError`` (exit code 2) for names that are no engines, or none at all."""
    from epochmark.bench.request import public_engines
    from epochmark.engines import engine_names, get_engine
    from epochmark.environments.requirements import Platform, fitting_rows
    from epochmark.errors import EpochmarkError, unknown

    known = [get_engine(name).info for name in public_engines()]
    if all_engines:
        machine = Platform.here()
        return [info for info in known if fitting_rows(info, machine)]
    installable = [info.name for info in known if info.requirements]
    if not names:
        there = ", ".join(installable)
        raise EpochmarkError(f"name an engine, or give --all; there are: {there}", exit_code=2)
    for name in names:
        if name not in engine_names():
            raise unknown("engine", name, installable)
    return [get_engine(name).info for name in names]


@described(
    """Remove environments that 'engines install' made.

    Nothing else is ever deleted. Engines that share the environment lose it, too.
    """
)
def remove(
    names: Annotated[
        list[str], typer.Argument(metavar="NAME...", help="Engines, or names of environments.")
    ],
) -> None:
    from epochmark.cli._console import remark, say
    from epochmark.environments.managed import Environments

    environments = Environments.of_user()
    doomed = _environments_of(names, environments)
    with environments.changing(
        lambda holder: remark(f"an install (process {holder}) is running; waiting for it")
    ):
        for name in doomed:
            environments.remove(name)
            say(f"removed {environments.folder / name}")


def _environments_of(names: list[str], environments: Environments) -> list[str]:
    """Names of the environments meant, each once.

    Raises ``EpochmarkError`` (exit code 2) for an engine without one and for a name of nothing,
    before anything is deleted.
    """
    from epochmark.engines import engine_names, get_engine
    from epochmark.environments.requirements import environment_name
    from epochmark.errors import EpochmarkError

    made = {environment.manifest.name for environment in environments.all()}
    doomed: dict[str, None] = {}
    for name in names:
        wanted = {name}
        if name in engine_names():
            rows = get_engine(name).info.requirements
            wanted = made & {environment_name(row) for row in rows}
        elif "/" not in name and not os.path.lexists(environments.folder / name):
            there = ", ".join(sorted(made)) or "none"
            raise EpochmarkError(
                f"there is no engine and no environment {name!r}; environments: {there}",
                exit_code=2,
            )
        if not wanted:
            raise EpochmarkError(
                f"no environment was made for {name} in {environments.folder}", exit_code=2
            )
        doomed.update(dict.fromkeys(sorted(wanted)))
    return list(doomed)


app = group("List engines and their devices; install or remove engines.")


@app.callback()
def _list_by_default(
    context: typer.Context, json: JsonOption = False, refresh: RefreshOption = False
) -> None:
    if context.invoked_subcommand is None:
        guarded(list_engines)(json=json, refresh=refresh)


add_commands(app, {"list": list_engines, "install": install, "remove": remove})
