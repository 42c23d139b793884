"""The Python interface is what docs/python-api.md says, and its examples run."""

from __future__ import annotations

import doctest
import subprocess
import sys
from pathlib import Path

import pytest

import epochmark
from epochmark.errors import EpochmarkError
from epochmark.records.store import FOLDER_VARIABLE

PAGE = Path(__file__).parents[2] / "docs" / "python-api.md"


def test_the_examples_of_the_page_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mnist_folder: Path
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "results"))
    monkeypatch.chdir(tmp_path)
    results = doctest.testfile(str(PAGE), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert results.attempted > 10
    assert results.failed == 0


def test_a_quick_run_is_marked_as_one() -> None:
    record = epochmark.run("fake", quick=True, save=False)
    assert record.workload.variant == ["quick"]


def test_its_names_are_listed_before_they_are_loaded() -> None:
    program = "import epochmark; print(*[n for n in epochmark.__all__ if n not in dir(epochmark)])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b""


def test_an_engine_that_is_not_installed_is_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EPOCHMARK_ENVIRONMENTS", str(tmp_path / "environments"))
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "results"))
    with pytest.raises(EpochmarkError, match="epochmark engines install plaidml-keras"):
        epochmark.run("plaidml-keras", device="gpu")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("name", epochmark.__all__)
def test_every_name_exists_and_is_documented(name: str) -> None:
    assert getattr(epochmark, name).__doc__
    assert f"`{name}" in PAGE.read_text("utf-8")


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = epochmark.nothing


def test_importing_the_package_loads_none_of_it() -> None:
    """Foreign interpreters load it without msgspec, and ``--help`` stays quick."""
    program = (
        "import sys, epochmark\n"
        "print([name for name in sys.modules if name.split('.')[0] in\n"
        "       ('msgspec', 'numpy', 'rich', 'jinja2', 'vl_convert', 'altair', 'typer')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip() == b"[]"


def test_help_loads_no_drawing_library() -> None:
    program = (
        "import sys\n"
        "sys.argv[1:] = ['report', '--help']\n"
        "from epochmark.cli import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print([n for n in sys.modules if n in ('jinja2', 'vl_convert', 'altair', 'numpy')])\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.strip().endswith(b"[]")
