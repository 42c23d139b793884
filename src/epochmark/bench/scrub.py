"""What a worker, a framework and a system say of themselves, made fit for a record."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from epochmark.records.record import Record

MAX_MESSAGE = 1500
StructT = TypeVar("StructT", bound=msgspec.Struct)

_HOMES = re.compile(r"/(?:home|Users)/[^/\s:;,'\"<>|]+")
"""Where others' home folders are."""
_ADDRESS = "<address>"
_IPV4 = re.compile(r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9a-fA-F:]*:[0-9a-fA-F]*:[0-9a-fA-F:.]*(?:%[\w.-]+)?(?!\w)")
"""Colons, two at least; ``_without_address`` decides."""


def scrubbed(message: str) -> str:
    """A message fit for a record: no home folder, no unprintable character, not too long."""
    for home in _home_folders():
        message = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", message)
    message = _HOMES.sub("~", message)
    return "".join(c if c.isprintable() else " " for c in message)[:MAX_MESSAGE]


def without_nodes(message: str, names: Sequence[str]) -> str:
    """The message without addresses of machines, IPv4 and IPv6, and with ``node N`` for the N-th of
    these names of nodes, whatever domain follows it."""
    numbers = {name: number for number, name in enumerate(names)}
    if numbers:
        longest_first = "|".join(map(re.escape, sorted(numbers, key=len, reverse=True)))
        named = rf"(?<![\w.-])({longest_first})(?:\.[\w-]+)*(?![\w-])"
        message = re.sub(named, lambda found: f"node {numbers[found[1]]}", message)
    return _IPV4.sub(_ADDRESS, _IPV6.sub(_without_address, message))


def _without_address(found: re.Match[str]) -> str:
    """What looks like an address is one if it can be read as such; what a sentence puts behind it
    stays."""
    for end in (len(found[0]), len(found[0].rstrip(":.")), len(found[0].partition("%")[0])):
        with contextlib.suppress(ValueError):
            ipaddress.IPv6Address(found[0][:end])
            return _ADDRESS + found[0][end:]
    return found[0]


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
