"""The command in the process of the tests, put together once: no import for each call of it."""

from __future__ import annotations

import io
import os
import sys
import tempfile
from collections.abc import Mapping
from typing import Any
from unittest.mock import patch

import typer

from epochmark.cli import app

PROGRAM: Any = typer.main.get_command(app)
"""What ``app`` would make again at every call."""


def call(
    *arguments: str, variables: Mapping[str, str] | None = None, typed: str = ""
) -> tuple[int, str, str]:
    """The exit code and both outputs, with these ``variables`` for the environment, if any, and
    ``typed`` on standard input; what it raises is a fault."""
    given, out, err = (
        io.TextIOWrapper(io.BytesIO(text.encode()), "utf-8") for text in (typed, "", "")
    )
    streams: dict[str, Any] = {"stdin": given, "stdout": out, "stderr": err}
    environment = {**(os.environ if variables is None else variables)}
    code = 0
    with (
        patch.multiple(sys, **streams),
        patch.dict(os.environ, environment, clear=True),
        patch.object(tempfile, "tempdir", None),  # TMPDIR is looked at again
    ):
        try:
            PROGRAM(list(arguments), prog_name="epochmark")
        except SystemExit as end:
            code = int(end.code or 0)
    return code, _written(out), _written(err)


def _written(stream: io.TextIOWrapper[io.BytesIO]) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode()
