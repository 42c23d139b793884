"""The help of every command at 80 columns, and what is said of a wrong command line."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from epochmark.cli import app
from epochmark.cli._console import COMMANDS
from tests.unit.test_docs import commands

PATHS = [path for path, _ in commands()]


def said(*words: str) -> tuple[str, str, int]:
    done = CliRunner().invoke(app, words, env={"COLUMNS": "80"}, prog_name="epochmark")
    return done.stdout, done.stderr, done.exit_code


@pytest.mark.parametrize("path", PATHS)
def test_help_fits_80_columns_and_cuts_nothing(path: str) -> None:
    out, _, code = said(*path.split()[1:], "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    usage, _, rest = out.partition("\n\n")
    assert usage.strip().startswith(f"Usage: {path}")
    assert not re.search(r"[a-z]\.\.\.$", rest, re.MULTILINE), "a summary is cut"
    assert not re.search(r"<[a-z]|\[str\]|list\[|Optional|range\b", out), "a type of Python's"
    described = rest.partition("Options:")[0].split("\n\n")[0].split()
    assert described[-1][-1] in ".?", "the summary is no sentence"


def test_every_command_has_the_name_of_its_file() -> None:
    """By which printing knows a command in a sentence, and shows it as it works when typed."""
    assert {path.split()[1] for path in PATHS if " " in path} <= set(COMMANDS)


def test_every_option_with_a_value_says_what_it_takes() -> None:
    for path, command in commands():
        for option in command.params:
            takes_value = option.param_type_name == "option" and not option.is_flag
            own = not option.name.endswith("completion")
            assert not (takes_value and own) or option.metavar, f"{path} {option.opts}"


@pytest.mark.parametrize(
    ("words", "sentence", "path"),
    [
        (("run", "--steps", "x"), "--steps takes a whole number, not 'x'", "run"),
        (("run", "--patience", "x"), "--patience takes a number, not 'x'", "run"),
        (("run", "--stesp", "1"), "there is no option --stesp (did you mean --steps?)", "run"),
        (("run", "--label"), "--label needs a value", None),
        (("run", "--quick=1"), "--quick takes no value", None),
        (("compare", "fake"), "B is missing", "compare"),
        (("check",), "FILE is missing", "check"),
        (("results", "show"), "RUN is missing", "results show"),
        (("machine", "x", "y"), "too many arguments: x y", "machine"),
        (("table", "--format", "cvs"), "there is no format 'cvs' (did you mean csv?)", None),
        (("tabel",), "there is no command 'tabel' (did you mean table?); there are: ", None),
        (("results", "lsit"), "there is no command 'lsit' (did you mean list?)", None),
        (("run", "fake", "--repeat", "0"), "--repeat 0 is out of range: 1 to 100", None),
        (("run", "fake", "--patience", "nan"), "--patience nan is out of range: 1", None),
    ],
)
def test_a_wrong_command_line_is_answered_in_one_style(
    words: tuple[str, ...], sentence: str, path: str | None
) -> None:
    out, err, code = said(*words)
    assert (out, code) == ("", 2)
    assert err.startswith(f"epochmark: {sentence}")
    assert "Input should" not in err
    if path is not None:
        assert err.endswith(f"'epochmark {path} --help' lists its options.\n")


def test_without_a_command_the_help_is_shown() -> None:
    _, err, code = said()
    assert code == 2
    assert err.startswith("Usage: epochmark")
    assert "Start with: epochmark run" in err
