"""Ask every engine what it sees, each in a process of its own with a time limit."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Annotated, Literal

import msgspec
from msgspec import Meta

from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.process.importable import with_our_package
from epochmark.bench.process.temporary import temporary_folder
from epochmark.engines import EngineInfo
from epochmark.environments.install import size_text
from epochmark.environments.requirements import Platform, choose_row, fitting_rows, missing_needs
from epochmark.errors import EpochmarkError
from epochmark.judge.crashes import signal_name
from epochmark.records.fields import LongText, ShortMap, ShortText

PROBE_S = 180.0
"""TensorFlow's import takes about 5 s alone on a core here, and ten times that beside others."""

MAX_BYTES = 1 << 20


class SeenDevice(msgspec.Struct, frozen=True):
    """A device as an engine lists it."""

    id: ShortText
    description: ShortText


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``worker.probe`` writes, held to the bounds of a record."""

    versions: ShortMap
    devices: Annotated[list[SeenDevice], Meta(max_length=100)]
    exception: ShortText | None
    message: LongText | None
    missing_module: ShortText | None


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Where an engine stands on this machine.

    ``state``: ``ready``; ``broken``, its packages are there and do not work; ``missing``. ``where``
    says which interpreter has it. ``problem`` and ``remedy`` say what is wrong and what helps.
    ``asked`` is the date of an answer of earlier; None: it was asked just now. ``other_versions``
    are those of its framework that have environments of their own, by their names.
    """

    engine: str
    title: str
    state: Literal["ready", "broken", "missing"]
    where: Literal["own", "managed", "foreign"] | None = None
    environment: str | None = None
    versions: dict[str, str] = {}
    devices: list[SeenDevice] = []
    problem: str | None = None
    remedy: str | None = None
    asked: str | None = None
    other_versions: dict[str, str] = {}

    @property
    def device_ids(self) -> list[str]:
        return [device.id for device in self.devices]


def not_installed(info: EngineInfo, missing: Sequence[str]) -> EngineStatus:
    """Of an engine that no interpreter has; ``missing`` are the modules that ours lacks."""
    return EngineStatus(
        engine=info.name,
        title=info.title,
        state="missing",
        problem=f"not installed: no module {', '.join(missing)} here",
        remedy=_how_to_install(info),
    )


def _how_to_install(info: EngineInfo) -> str:
    try:
        row = choose_row(info, Platform.here(), None)
    except EpochmarkError as error:
        return str(error)
    return f"epochmark engines install {info.name} ({size_text(row)})"


def probe(info: EngineInfo, interpreter: Interpreter) -> EngineStatus:
    """Import the framework in a child process and list its devices."""
    problem: str | None = None
    versions: dict[str, str] = {}
    devices: list[SeenDevice] = []
    answer = _ask(info.name, interpreter)
    if isinstance(answer, str):
        problem = answer
    else:
        versions, devices = answer.versions, answer.devices
        if answer.exception is not None:
            problem = _import_problem(info, answer)
        elif not devices:
            problem = "it finds no device to train on"
    needs = [need for row in fitting_rows(info, Platform.here())[:1] for need in missing_needs(row)]
    return EngineStatus(
        engine=info.name,
        title=info.title,
        state="broken" if problem else "ready",
        where=interpreter.kind,
        environment=interpreter.managed.manifest.name if interpreter.managed else None,
        versions=versions,
        devices=devices,
        problem=problem or "; ".join(needs) or None,
        remedy=_how_to_repair(info, interpreter, needs) if problem else None,
    )


def import_problem(info: EngineInfo, interpreter: Interpreter) -> str | None:
    """Why the engine's modules cannot be imported there; None when they can.

    An engine file may give an old framework what it needs before its import, or choose a back end:
    so the engine itself is asked where the plain import fails.
    """
    with temporary_folder("probe") as empty:
        try:
            plain = subprocess.run(
                [str(interpreter.python), "-c", f"import {', '.join(info.modules)}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd=empty,
                env=dict(interpreter.environment),
                timeout=PROBE_S,
                check=False,
            )
        except OSError as error:
            return f"its interpreter cannot be started: {error.strerror or error}"
        except subprocess.TimeoutExpired:
            return f"its import took more than {PROBE_S:.0f} s"
    if plain.returncode == 0:
        return None
    answer = _ask(info.name, interpreter)
    if isinstance(answer, str):
        said = plain.stderr.decode(errors="replace").strip().splitlines() or [answer]
        return said[-1][:300]
    return None if answer.exception is None else _import_problem(info, answer)


def _import_problem(info: EngineInfo, answer: _Answer) -> str:
    """Which failure a framework raised: absent, broken by an absent dependency, or broken."""
    raised = f"{answer.exception}: {answer.message}"
    if answer.missing_module is not None:
        top = answer.missing_module.split(".")[0]
        if top not in {module.split(".")[0] for module in info.modules}:
            return f"{info.title} is installed, but it lacks the module {answer.missing_module}"
    return raised


def _how_to_repair(info: EngineInfo, interpreter: Interpreter, needs: list[str]) -> str:
    if needs:
        return "; ".join(needs)
    if interpreter.kind == "managed":
        return f"epochmark engines remove {info.name}, then epochmark engines install {info.name}"
    return (
        f"repair it in {interpreter.python} with that interpreter's pip, or name another one: "
        f"epochmark run {info.name} --python PATH"
    )


def _ask(engine: str, interpreter: Interpreter) -> _Answer | str:
    """The probe's answer, or what went wrong with the process."""
    with (
        temporary_folder("probe") as folder,
        (folder / "answer").open("w+b") as answer,
        (folder / "output").open("w+b") as output,
    ):
        try:
            status = _run(engine, interpreter, folder, answer.fileno(), output.fileno())
        except OSError as error:
            return f"its interpreter cannot be started: {error.strerror or error}"
        answer.seek(0)
        content = answer.read(MAX_BYTES + 1)
        try:
            return msgspec.json.decode(content, type=_Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            if content and status == 0:
                return f"its answer could not be understood: {error}"
        if status is None:
            return f"its import and list of devices took more than {PROBE_S:.0f} s"
        ended = signal_name(status) if status < 0 else f"exit status {status}"
        return f"its import ended the process with {ended}{_last_line(output)}"


def _run(
    engine: str, interpreter: Interpreter, folder: Path, answer: int, output: int
) -> int | None:
    """Exit status of the probe, None when it took too long; none of its processes is left."""
    process = subprocess.Popen(
        [str(interpreter.python), "-m", "epochmark.worker.probe", str(answer), engine],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=[answer],
        cwd=folder,
        env=with_our_package(folder, interpreter.environment),
        start_new_session=True,
    )
    try:
        return process.wait(PROBE_S)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last_line(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - MAX_BYTES))
    lines = output.read().decode(errors="replace").strip().splitlines()
    return f"; it says: {lines[-1][:300]}" if lines else ""
