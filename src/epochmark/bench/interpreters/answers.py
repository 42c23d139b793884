"""What engines answered when they were asked for their devices, kept to be shown at once.

One JSON file for each engine in the user's cache. Nothing in it is believed: an answer counts only
where the environment and the drivers are what they were (``fingerprint``).
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Literal

import msgspec

from epochmark.bench.interpreters.fingerprint import drivers_fingerprint, environment_fingerprint
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.interpreters.probe import EngineStatus, probe
from epochmark.engines import EngineInfo
from epochmark.errors import EpochmarkError
from epochmark.folders import user_cache
from epochmark.records import dates
from epochmark.records.fields import Date
from epochmark.records.files import IrregularFileError, read_regular, write_atomically

MAX_BYTES = 1 << 16


class _Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of a file. The fingerprints are those of when the engine was asked."""

    format: Literal[1] = 1
    environment: str
    drivers: str
    asked: Date
    status: EngineStatus


def asked_before(info: EngineInfo, interpreter: Interpreter) -> EngineStatus | None:
    """The engine's answer of earlier, with the date; None where there is none that still holds."""
    file = _file(info)
    answer = None if file is None else _read(file)
    if answer is None or (answer.status.engine, answer.status.state) != (info.name, "ready"):
        return None
    if answer.environment != environment_fingerprint(info, interpreter):
        return None
    if answer.drivers != drivers_fingerprint():
        return None
    return msgspec.structs.replace(answer.status, asked=answer.asked)


def ask(info: EngineInfo, interpreter: Interpreter) -> EngineStatus:
    """Ask the engine, and keep its answer if it is ready: what is broken may be mended anywhere."""
    environment, drivers = environment_fingerprint(info, interpreter), drivers_fingerprint()
    status = probe(info, interpreter)
    file = _file(info)
    if file is None:
        return status
    with contextlib.suppress(OSError):  # then it is asked the next time, too
        if status.state == "ready":
            answer = _Answer(
                environment=environment, drivers=drivers, asked=dates.now(), status=status
            )
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, msgspec.json.encode(answer))
        else:
            file.unlink(missing_ok=True)
    return status


def _file(info: EngineInfo) -> Path | None:
    """Where an engine's answer is kept; None where there is no place for it."""
    try:
        return user_cache("") / "engines" / f"{info.name}.json"
    except EpochmarkError:
        return None


def _read(file: Path) -> _Answer | None:
    """What the file holds; None for one that is damaged, too large, of another user or format."""
    try:
        if file.stat().st_uid != os.geteuid():
            return None
        document = read_regular(file, MAX_BYTES + 1)
        if len(document) > MAX_BYTES:
            return None
        return msgspec.json.decode(document, type=_Answer)
    except (OSError, IrregularFileError, msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
