"""The wheel that ``epochmark fleet run --ship`` sends: of a real install."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import epochmark
from tests.pipeline.bare_nodes import installed_copy
from tests.pipeline.program import Program

pytestmark = pytest.mark.slow

PACK = (
    "import sys; from pathlib import Path; "
    "from epochmark.fleet.launchers.shipping import wheel_in; print(wheel_in(Path(sys.argv[1])))"
)


def packed(installed: Path, into: Path) -> subprocess.CompletedProcess[str]:
    """What an epochmark that is installed there packs; prints the wheel's path."""
    path = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), *sys.path])}
    command = [sys.executable, "-c", PACK, str(into)]
    return subprocess.run(command, env=path, capture_output=True, text=True, check=False)


def recorded(installed: Path, *files: str) -> None:
    """Add files to those that pip noted."""
    (record,) = installed.glob("epochmark-*.dist-info/RECORD")
    with record.open("a", encoding="utf-8") as stream:
        stream.writelines(f"{file},,\n" for file in files)


def test_a_checkout_is_not_shipped(program: Program, tmp_path: Path) -> None:
    copied = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(epochmark.__file__).parent, copied / "epochmark", ignore=ignored)
    path = {"PYTHONPATH": os.pathsep.join([str(copied), *sys.path])}
    done = program.run("fleet", "run", "fake", "--ray", "local", "--ship", environment=path)
    assert done.returncode == 2
    assert f"this one runs from {copied / 'epochmark'}" in done.stderr
    assert "pip install ." in done.stderr


def test_what_is_shipped_is_a_wheel_of_what_was_installed(tmp_path: Path) -> None:
    installed = installed_copy(tmp_path / "installed")
    (info,) = installed.glob("epochmark-*.dist-info")
    (info / "direct_url.json").write_text("{}")
    compiled = Path("epochmark") / "__pycache__" / "none.cpython-311.pyc"
    (installed / compiled).parent.mkdir()
    (installed / compiled).touch()
    recorded(installed, f"{info.name}/direct_url.json", compiled.as_posix())
    wheel = packed(installed, tmp_path).stdout.strip()
    names = zipfile.ZipFile(wheel).namelist()
    assert f"{info.name}/WHEEL" in names
    assert f"{info.name}/direct_url.json" not in names
    assert not [name for name in names if name.endswith(".pyc")]
    target = tmp_path / "target"
    install = ("install", "--quiet", "--no-deps", "--no-index", f"--target={target}")
    subprocess.run([sys.executable, "-m", "pip", *install, wheel], check=True)
    for file in (installed / "epochmark").rglob("*.py"):
        assert (target / file.relative_to(installed)).read_bytes() == file.read_bytes()
    assert (target / "bin" / "epochmark").exists()


def test_files_without_a_date_are_shipped(tmp_path: Path) -> None:
    """Reproducible builds date them 1970; a zip file begins in 1980."""
    installed = installed_copy(tmp_path / "installed")
    os.utime(installed / "epochmark" / "errors.py", (0, 0))
    done = packed(installed, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "epochmark/errors.py" in zipfile.ZipFile(done.stdout.strip()).namelist()


def test_a_file_that_is_missing_is_named(program: Program, tmp_path: Path) -> None:
    installed = installed_copy(tmp_path / "installed")
    recorded(installed, "epochmark/gone.py")
    path = {"PYTHONPATH": os.pathsep.join([str(installed), *sys.path])}
    done = program.run("fleet", "run", "fake", "--ray", "local", "--ship", environment=path)
    assert done.returncode == 2
    assert f"{installed / 'epochmark' / 'gone.py'}: No such file or directory" in done.stderr
    assert "Install it again: pip install --force-reinstall epochmark" in done.stderr
