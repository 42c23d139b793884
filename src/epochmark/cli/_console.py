"""Printing: JSON for machines, and tables that fit where they are printed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 160
"""Columns when the output is not a terminal: nothing is cut off in a file."""


def console(stderr: bool = False) -> Console:
    """A console on stdout or stderr: colours only on a terminal, as NO_COLOR and TERM have it."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPED_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, markup=False, emoji=False)


def print_json(document: Any) -> None:
    """One JSON document on standard output and nothing else."""
    import msgspec

    sys.stdout.write(msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n")


def printable(text: str | None) -> str:
    """Text from a file, safe for a terminal: control characters become spaces."""
    return "".join(c if c.isprintable() else " " for c in text or "")
