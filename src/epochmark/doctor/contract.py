"""What a check is, and the lines that it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import msgspec

from epochmark.doctor.facts import Facts

State = Literal["ok", "note", "fault"]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was looked at.

    ``state``: ``ok``; ``note``, worth knowing; ``fault``, it should work and does not. ``remedy``
    is the command that fixes it, or what to do where no command can. ``check`` is the name of the
    check that wrote it.
    """

    check: str = ""
    state: State
    text: str
    remedy: str | None = None


def ok(text: str) -> Line:
    """All is well."""
    return Line(state="ok", text=text)


def note(text: str, remedy: str | None = None) -> Line:
    """Worth knowing, and nothing is broken."""
    return Line(state="note", text=text, remedy=remedy)


def fault(text: str, remedy: str) -> Line:
    """Something that should work does not."""
    return Line(state="fault", text=text, remedy=remedy)


@dataclass(frozen=True)
class Check:
    """A group of lines under one ``name``.

    ``looks_at``, ``notes`` and ``faults`` are its row in docs/doctor.md. ``examine`` may take up to
    two seconds, all checks at the same time; longer where it ``asks_frameworks`` with ``--deep``.
    One that ``needs_drivers`` begins when they have answered, the others before.
    """

    name: str
    looks_at: str
    notes: str
    faults: str
    examine: Callable[[Facts], Iterable[Line]]
    asks_frameworks: bool = False
    needs_drivers: bool = True
