"""What every command has in common: how it ends when something goes wrong."""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import ParamSpec

import typer

from epochmark.errors import EpochmarkError

P = ParamSpec("P")

EXIT_FAILED = 1
EXIT_INTERRUPTED = 130
"""What shells expect of a program that Ctrl-C ended."""


def guarded(command: Callable[P, None]) -> Callable[P, None]:
    """The command, with errors for the user printed and turned into exit codes.

    SIGTERM and SIGHUP are handled as Ctrl-C is, so that they clean up as well. A reader that
    closed our standard output (``| head``) is no error.
    """

    @functools.wraps(command)
    def run_guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        for polite in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(polite, _interrupt)
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except EpochmarkError as error:
            typer.echo(f"epochmark: {error}", err=True)
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            typer.echo("epochmark: interrupted", err=True)
            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return run_guarded


def _interrupt(signal_number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
