"""The oldest dependencies that are allowed still do: the command line runs on them.

They are installed, which needs a package index.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import epochmark
from epochmark.environments.install import create_venv
from tests.pipeline.program import SAMPLES, Program
from tests.pipeline.test_cli import EVERY_HELP

PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))[
    "project"
]
OLDEST_PYTHON = "python3.11"
"""The oldest one that is supported, for which all these old versions have wheels."""


def lower_bounds() -> list[str]:
    """Every dependency of the program and its report in the oldest version allowed."""
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["report"]]
    return [re.sub(r"^([\w-]+)>=([\d.]+),?[^;]*", r"\1==\2", requirement) for requirement in wanted]


@pytest.fixture(scope="module")
def oldest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with the lower bounds, and with our package linked."""
    own = sys.version_info[:2] == (3, 11)
    found = sys.executable if own else shutil.which(OLDEST_PYTHON)
    assert found is not None, f"{OLDEST_PYTHON} is needed for the oldest dependencies"
    folder = tmp_path_factory.mktemp("oldest") / "venv"
    create_venv(Path(found), folder)
    python = folder / "bin" / "python"
    pip = [str(python), "-I", "-m", "pip", "install", "--quiet", "--only-binary=:all:"]
    done = subprocess.run([*pip, *lower_bounds()], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "epochmark").symlink_to(Path(epochmark.__file__).parent)
    return python


def test_each_dependency_has_one_lower_bound() -> None:
    bounds = lower_bounds()
    assert len(bounds) > len(PROJECT["dependencies"])
    for bound in bounds:
        assert re.fullmatch(r"[\w-]+==[\d.]+( *;.*)?", bound), bound


def test_the_command_line_runs_on_the_oldest_dependencies(program: Program, oldest: Path) -> None:
    def run(*arguments: str) -> str:
        done = subprocess.run(
            [str(oldest), "-W", "error", *arguments],
            env=program.variables({}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run("-c", EVERY_HELP).count("Usage: epochmark ") > 20
    epochmark_ = ("-m", "epochmark")
    for command in ("--help", "run --help", "engines install --help", "results"):
        assert run(*epochmark_, *command.split())
    assert "valid: all work was done" in run(*epochmark_, "run", "fake")
    assert "fake" in run(*epochmark_, "table")
    assert "fake" in run(*epochmark_, "results", "--json")
    assert "architecture" in run(*epochmark_, "machine", "--json")
    bundle, page, picture = (str(program.folder / name) for name in ("b.json", "p.html", "p.svg"))
    assert run(*epochmark_, "results", "export", bundle)
    assert "consistent" in run(*epochmark_, "check", bundle)
    shutil.copy(SAMPLES / "native-2-epochs.json", program.results)
    assert run(*epochmark_, "report", "-o", page)
    assert run(*epochmark_, "plot", "speed", "-o", picture)
    assert run(*epochmark_, "explain", "native")
