"""Odd values for every argument and option: a sentence and an exit code, never a traceback."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import pytest
import typer

from epochmark.cli import app
from tests.pipeline.program import Program

ODD = (
    "", " ", "x" * 5000, "-1", "0", "nan", "1e999", "9" * 30, "\u0669", "\u00e9\u202e\x1b[31m",
    "\udcff", "/", "/dev/full", "/nonexistent/x.html", "../x", "a=b", "a,b", "gpu:-1", "GPU",
)  # fmt: skip

SOUND = {
    "run": ["fake", "--steps", "1", "--no-save", "--anyway"],
    "limits": ["--show"],
    "table": [],
    "report": ["-o", "page.html"],
    "plot": ["speed", "-o", "plot.svg"],
    "check": [],
    "compare": ["fake"],
    "explain": [],
    "history": [],
    "results show": [],
    "results rm": [],
    "results export": ["bundle.json"],
    "results import": [],
    "engines install": [],
    "engines remove": [],
    "data fetch": [],
    "workloads show": [],
    "race": ["fake", "fake", "--no-save", "--max-seconds", "1"],
    "fleet report": ["."],
    "fleet run": ["fake", "--ray", "127.0.0.1:9"],
    "share": ["fake", "--to", "http://127.0.0.1:9", "--yes"],
    "board held": [],
    "board hold": ["0123", "--reason", "asked"],
    "board hide": ["0123", "--reason", "asked"],
    "board release": ["0123", "--reason", "seen"],
    "board ban": ["0" * 64, "--reason", "made up"],
    "board unban": ["0" * 64, "--reason", "proved"],
    "board show": [],
    "board import": ["bundle.json"],
    "board dump": ["dump.json"],
    "board rederive": [],
}
"""What goes before the odd value, command by command; those that are missing take no values, or
serve until they are stopped."""

COMMAND: Any = typer.main.get_command(app)


def parts(command: str) -> list[Any]:
    """The arguments and options of a command that take a value."""
    found = COMMAND
    for name in command.split():
        found = found.commands[name]
    return [part for part in found.params if not getattr(part, "is_flag", False)]


def test_every_command_that_takes_values_is_among_them() -> None:
    takers = {
        f"{group} {name}".strip()
        for group, whole in [("", COMMAND), *COMMAND.commands.items()]
        for name, command in getattr(whole, "commands", {}).items()
        if not hasattr(command, "commands")
        and any(not getattr(part, "is_flag", False) for part in command.params)
    }
    assert takers - {"board serve"} == set(SOUND)


@pytest.mark.filterwarnings("default:skipped")  # a folder given as a bundle holds other files
@pytest.mark.parametrize("command", SOUND)
def test_an_odd_value_is_answered_by_a_sentence(
    filled: Program, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    for name, value in filled.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("EPOCHMARK_ENVIRONMENTS", str(filled.folder / "environments"))
    monkeypatch.setenv("EPOCHMARK_BOARD", str(filled.folder / "board"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(filled.folder / "cache"))
    monkeypatch.chdir(filled.folder)
    for part in parts(command):
        for value in ODD:
            named = [f"{part.opts[-1]}={value}"] if part.opts[-1].startswith("-") else [value]
            if part.opts[-1].startswith("-") or command in ("compare", "results export"):
                named = [*SOUND[command], *(named if named[0].startswith("--") else ["--", value])]
            else:
                named = ["--", value]
            code, out, err = call(*command.split(), *named)
            assert code in (0, 1, 2, 3), (named, code, err)
            assert "Traceback" not in err
            assert "Input should" not in err
            assert not err.startswith("Usage:")
            assert (out + err).strip(), named
            assert not any(c in err for c in "\x1b\u202e"), named


def call(*arguments: str) -> tuple[object, str, str]:
    """The exit code and both outputs of the command, in this process; what it raises is a fault."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            app(list(arguments), prog_name="epochmark")
        except SystemExit as end:
            return end.code, out.getvalue(), err.getvalue()
    return 0, out.getvalue(), err.getvalue()
