"""Ask a tool of the system, which may hang: a driver that is broken is what we look for."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Sequence
from typing import NamedTuple

ANSWER_S = 2.0
"""NVML answers in 0.1 s where the driver stays loaded; a driver that has to wake up the card first
takes a second or two."""

MOST_CHARACTERS = 1 << 20


class ToolOutput(NamedTuple):
    """All that a tool printed, and its exit status: None where it did not end in time."""

    text: str
    status: int | None


def ask(command: Sequence[str], seconds: float = ANSWER_S) -> ToolOutput | None:
    """What the tool prints; None where it cannot be started.

    One that does not end in time is killed and not waited for: in the hands of a broken driver a
    process may not even die.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},
            start_new_session=True,
        )
    except OSError:
        return None
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as late:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=0.1)
        return ToolOutput(_text(late.output or b""), None)
    return ToolOutput(_text(printed), process.returncode)


def _text(printed: bytes) -> str:
    return printed[:MOST_CHARACTERS].decode(errors="replace")
