"""What every command has in common: how it begins, and how it ends when something goes wrong."""

from __future__ import annotations

import functools
import io
import os
import signal
import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import ParamSpec

import typer

from epochmark.bench.process.interrupts import INTERRUPTIONS, Handling, interrupted_by, interruption
from epochmark.cli._console import remark
from epochmark.errors import EpochmarkError, EpochmarkWarning

P = ParamSpec("P")

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended."""


def described(text: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """A command's help. Not its docstring, which PYTHONOPTIMIZE=2 leaves out."""

    def describe(command: Callable[P, None]) -> Callable[P, None]:
        command.__doc__ = text
        return command

    return describe


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """The command, with errors for the user printed and turned into exit codes.

    SIGTERM and SIGHUP are handled as Ctrl-C is, so that they clean up as well; of several, only
    the first is heard. A reader that closed our standard output (``| head``) is no error.
    """

    @functools.wraps(command)
    def run_guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        prepare_streams()
        handling = Handling(_interrupt)
        handling.begin()
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _tell_warning
                warnings.simplefilter("always", EpochmarkWarning)
                command(*args, **kwargs)
        except EpochmarkError as error:
            complain(error)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt as caught:
            by_signal = str(caught) in ("SIGTERM", "SIGHUP")
            complain(interrupted_by(caught) if by_signal else "interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            return
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            complain(f"the operating system reported an error: {error.strerror or error}{where}")
            raise typer.Exit(EXIT_FAILED) from None
        finally:
            handling.end()

    return run_guarded


def complain(message: object) -> None:
    """Tell on standard error what is wrong; the message may have several lines."""
    remark(*f"epochmark: {message}".split("\n"))


def _tell_warning(message: Warning | str, *where: object, **more: object) -> None:
    """As any other remark, without the line of ours that raised it."""
    complain(message)


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    """Ending takes a few seconds at most; who asks again must not cost the record, nor disturb the
    end of the program: the earlier handlers do not come back."""
    for number in INTERRUPTIONS:
        signal.signal(number, lambda again, frame: None)
    raise interruption(signal_number)


def prepare_streams() -> None:
    """Closed streams go nowhere; characters that an encoding lacks are escaped, not an error."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
