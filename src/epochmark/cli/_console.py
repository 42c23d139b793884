"""Printing: the one way text leaves the program, safe for a terminal and fit for its width."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from epochmark.errors import EpochmarkError

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 160
"""Columns when the output is not a terminal: nothing is cut off in a file."""


USUAL_WIDTH = 80


def say(*lines: str) -> None:
    """Lines of text on standard output."""
    write(_lines(lines, sys.stdout))


def remark(*lines: str) -> None:
    """Lines of text on standard error. Where they cannot be read, the work goes on."""
    with contextlib.suppress(OSError):
        sys.stderr.write(_lines(lines, sys.stderr))
        sys.stderr.flush()


def print_json(document: Any) -> None:
    """One JSON document on standard output and nothing else, safe for a terminal."""
    from epochmark.records.json_text import to_json

    write(to_json(document, indent=1).decode() + "\n")


def write(text: str) -> None:
    """Text on standard output, at once, so that a failure shows where it can be handled.

    Raises ``BrokenPipeError`` when the reader has gone, and ``EpochmarkError`` when the output
    cannot be written for another reason.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        abandon_stdout()
        if isinstance(error, BrokenPipeError):
            raise
        raise EpochmarkError(f"standard output cannot be written: {error.strerror}") from error


def console(stderr: bool = False, file: TextIO | None = None) -> Console:
    """For tables and bars, as the stream can show them. With ``file`` it draws there what suits the
    stream.

    Cursor movements go to a capable terminal only; colours there, and where FORCE_COLOR asks for
    them. Nothing is left to rich's own variables, which put cursor movements into files.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    capable = is_capable(stream)
    return Console(
        file=file or stream,
        force_terminal=capable,
        force_interactive=capable,
        force_jupyter=False,
        color_system="auto" if capable else "standard" if _color_is_forced() else None,
        width=columns(stream) or PIPED_WIDTH,
        highlight=False,
        markup=False,
        emoji=False,
    )


def is_capable(stream: TextIO) -> bool:
    """Whether lines on this stream can be drawn over: a terminal that can move its cursor, and
    somebody in front of it. As git does, one without a TERM is taken for dumb."""
    dumb = os.environ.get("TERM", "") in ("", "dumb", "unknown")
    unwatched = os.environ.get("CI", "").lower() not in ("", "0", "false")
    return stream.isatty() and not dumb and not unwatched


def columns(stream: TextIO) -> int | None:
    """The width of the terminal, which COLUMNS overrides; None where the stream is none.

    A terminal that does not know its own width has the usual 80 columns; none has less than 20.
    """
    if not stream.isatty():
        return None
    named = os.environ.get("COLUMNS", "")
    wide = int(named) if named.isascii() and named.isdigit() and len(named) < 6 else 0
    if not wide:
        with contextlib.suppress(OSError, ValueError):
            wide = os.get_terminal_size(stream.fileno()).columns
    return max(20, wide or USUAL_WIDTH)


def _color_is_forced() -> bool:
    refused = os.environ.get("NO_COLOR", "") != ""
    return not refused and os.environ.get("FORCE_COLOR", "").lower() not in ("", "0", "false")


def printable(text: str) -> str:
    """Text from anywhere, on one line and safe for a terminal: control characters become spaces."""
    return "".join(c if c.isprintable() else " " for c in text)


def _lines(lines: tuple[str, ...], stream: TextIO) -> str:
    return "".join(_shown(printable(line), stream) + "\n" for line in lines)


def _shown(line: str, stream: TextIO) -> str:
    """As it is typed and as it fits; a line that is a command is never broken, to be copied."""
    typed = _as_typed(line)
    return typed if re.match(rf"\s+{_PROGRAM}", line) else _folded(typed, stream)


_PROGRAM = (
    r"epochmark (?=(?:"
    r"run|engines|results|limits|check|compare|explain|table|report|plot|data|machine|doctor"
    r"|history|workloads|fleet)\b)"
)
_COMMAND = re.compile(rf"(^\s*|['`(]|: |&& ){_PROGRAM}")


def _as_typed(line: str) -> str:
    """Commands in a line as they work here: by the path of this program, where that is not on the
    PATH."""
    typed = Path(sys.argv[0])
    if typed.name != "epochmark":
        return line
    found = shutil.which("epochmark")
    if found is not None and Path(found).resolve() == typed.resolve():
        return line
    return _COMMAND.sub(lambda before: f"{before[1]}{shlex.quote(str(typed))} ", line)


def _folded(line: str, stream: TextIO) -> str:
    """On a terminal, a long line goes on below its own beginning; words are never broken."""
    width = columns(stream)
    if width is None:
        return line
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def abandon_stdout() -> None:
    """Let what is still buffered for standard output go nowhere when the interpreter ends."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
