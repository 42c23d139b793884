"""A user without a home folder: no HOME, no entry among the system's users, or one that is no use.

As in many containers and batch systems. The real command, with the variables that the documents
name and nothing else; where only root or user namespaces can hide the list of users, with HOME
taken away alone.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipeline.program import SMALL_BATCH, Program
from tests.pipeline.test_hidden_kernel import UNSHARE

Homeless = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.skipif(UNSHARE is None, reason="the list of users cannot be hidden here")
DOCUMENTED = ("EPOCHMARK_RESULTS", "EPOCHMARK_DATA", "EPOCHMARK_ENVIRONMENTS", "XDG_CACHE_HOME")


def unknown_user(folder: Path, command: list[str]) -> list[str]:
    """The command for a user who is in no list; systemd's would invent an entry for root."""
    assert UNSHARE is not None
    lookup = folder / "nsswitch.conf"
    lookup.write_text("passwd: files\n")
    script = f"""
        mount --bind /dev/null /etc/passwd
        test ! -e /etc/nsswitch.conf || mount --bind {shlex.quote(str(lookup))} /etc/nsswitch.conf
        exec {shlex.join(command)}
    """
    return [*UNSHARE, "sh", "-e", "-c", script]


@pytest.fixture
def homeless(program: Program, mnist_folder: Path, tmp_path: Path) -> Homeless:
    """Run the command as an unknown user, with these variables changed."""
    folders = {name: str(tmp_path / "named" / name.lower()) for name in DOCUMENTED}
    named = {**folders, "EPOCHMARK_DATA": str(mnist_folder), "TMPDIR": str(tmp_path)}
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()

    def run(*arguments: str, **changes: str | None) -> subprocess.CompletedProcess[str]:
        command = unknown_user(tmp_path, program.command(*arguments))
        wanted = {**named, "EPOCHMARK_FAKE": "{}", "PATH": "/usr/bin:/bin", **changes}
        done = subprocess.run(
            command,
            cwd=elsewhere,
            env={name: value for name, value in wanted.items() if value is not None},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert list(elsewhere.iterdir()) == [], "nothing is made where the command was given"
        return done

    return run


COMMANDS = [
    ("run", "native", "--steps", "2", "--threads", "1", *SMALL_BATCH),
    ("results", "list"),
    ("engines",),
    ("data", "status"),
    ("machine",),
]
NO_USE: list[str | None] = ["/", "/nonexistent", ""]


@pytest.mark.parametrize(
    ("command", "home"),
    [*((command, None) for command in COMMANDS), *((("run", "fake"), home) for home in NO_USE)],
)
def test_whoever_sets_every_variable_needs_no_home(
    homeless: Homeless, command: tuple[str, ...], home: str | None
) -> None:
    done = homeless(*command, HOME=home)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (("run", "fake"), "EPOCHMARK_RESULTS"),
        (("results", "list"), "EPOCHMARK_RESULTS"),
        (("compare", "native", "torch"), "EPOCHMARK_RESULTS"),
        (("engines",), "EPOCHMARK_ENVIRONMENTS"),
        (("engines", "install", "tinygrad"), "EPOCHMARK_ENVIRONMENTS"),
        (("data", "status"), "XDG_CACHE_HOME"),
    ],
)
def test_a_folder_that_cannot_be_found_is_asked_for_by_its_variable(
    homeless: Homeless, command: tuple[str, ...], missing: str
) -> None:
    done = homeless(*command, **{missing: None})
    assert done.returncode == 2
    assert "no home folder is known here" in done.stderr
    assert missing in done.stderr.replace("\n", " ")


@pytest.mark.parametrize(
    ("command", "changes"),
    [
        (("results", "list"), {"EPOCHMARK_RESULTS": "~nobody-knows/results"}),
        (("run", "fake"), {"EPOCHMARK_DATA": "~nobody-knows/mnist"}),
        (("engines",), {"EPOCHMARK_ENVIRONMENTS": "~nobody-knows/environments"}),
        (("run", "native", "--python", "~nobody-knows/bin/python"), {}),
    ],
)
def test_the_home_of_an_unknown_user_is_no_traceback(
    homeless: Homeless, command: tuple[str, ...], changes: dict[str, str]
) -> None:
    done = homeless(*command, **changes)
    assert done.returncode == 2
    assert "~nobody-knows" in done.stderr


def test_without_saving_only_data_is_needed(homeless: Homeless) -> None:
    nowhere = dict.fromkeys(("EPOCHMARK_ENVIRONMENTS", "XDG_CACHE_HOME"))
    done = homeless("run", "fake", "--no-save", **nowhere)
    assert done.returncode == 0, done.stderr


def test_from_python_too(homeless: Homeless, program: Program, tmp_path: Path) -> None:
    script = "import epochmark; print(epochmark.run('fake', max_steps=1).headline.validity)"
    done = subprocess.run(
        unknown_user(tmp_path, [sys.executable, "-c", script]),
        env={**program.environment, "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "partial\n", done.stderr
