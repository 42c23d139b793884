"""What a worker, a framework and a system say of themselves, made fit for a record."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from epochmark.records.record import Record

MAX_MESSAGE = 1500
StructT = TypeVar("StructT", bound=msgspec.Struct)

_HOMES = re.compile(r"/(?:home|Users)/[^/\s:;,'\"<>|]+")
"""Where others' home folders are."""


def scrubbed(message: str) -> str:
    """A message fit for a record: no home folder, no unprintable character, not too long."""
    for home in _home_folders():
        message = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", message)
    message = _HOMES.sub("~", message)
    return "".join(c if c.isprintable() else " " for c in message)[:MAX_MESSAGE]


def scrubbed_record(record: Record) -> Record:
    """The record with all of its text scrubbed but for the label, which the user gave it."""
    return msgspec.structs.replace(scrubbed_parts(record), label=record.label)


def scrubbed_parts(document: StructT) -> StructT:
    """The same, its label included."""
    parts: StructT = _scrubbed(document)
    return parts


def _scrubbed(value: Any) -> Any:
    if isinstance(value, str):
        return scrubbed(value)
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.asdict(value)
        return msgspec.structs.replace(
            value, **{n: _scrubbed(field) for n, field in fields.items()}
        )
    if isinstance(value, list):
        return [_scrubbed(item) for item in value]
    if isinstance(value, dict):
        return {scrubbed(name): _scrubbed(item) for name, item in value.items()}
    return value


def _home_folders() -> list[str]:
    """This user's, also as links lead to it, the longest first; none where that is the root of all
    paths, or where there is none."""
    try:
        home = Path.home()
    except RuntimeError:
        return []
    found = {os.path.normpath(home), os.path.realpath(home)}
    return sorted(
        (folder for folder in found if folder.count(os.sep) and folder != os.sep), key=len
    )[::-1]
