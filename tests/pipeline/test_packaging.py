"""The sdist and the wheel, built for real, and what someone without a compiler installs from it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from tests.pipeline.program import SMALL_BATCH, Program
from tools import build_wheel


@dataclass
class Installed:
    """A virtual environment with the wheel in it and nothing but its own programs on the PATH."""

    scripts: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if name not in ("CC", "CXX", "PYTHONPATH")
        }
        return {**kept, "PATH": str(self.scripts)}

    def run(
        self, *words: str, cwd: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """``words`` as typed in that environment; output is caught."""
        return subprocess.run(
            [self.scripts / words[0], *words[1:]],
            env={**self.environment, **(environment or {})},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The sdist of this checkout and the wheel built from the sdist."""
    return build_wheel.build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(built: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    bare = Installed(folder / "bin")
    install = ("install", "--quiet", "--no-compile", "--only-binary", ":all:", str(built[1]))
    done = bare.run("python", "-m", "pip", *install, cwd=folder)
    assert done.returncode == 0, done.stderr
    return bare


def test_the_sdist_holds_what_git_tracks_and_nothing_else(built: tuple[Path, Path]) -> None:
    with tarfile.open(built[0]) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames()}
    # New files of a working tree will be tracked; a clone in CI has none.
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, cwd=build_wheel.ROOT, capture_output=True, text=True, check=True)
    tracked = {name for name in done.stdout.splitlines() if not name.startswith(".")}
    assert held - {"PKG-INFO"} == tracked
    assert {"LICENSE", "src/epochmark/py.typed", "src/epochmark/native/kernels/gemm.h"} <= held


def test_the_wheel_is_fit_to_publish(built: tuple[Path, Path]) -> None:
    assert build_wheel.faults(built[1]) == []
    if sys.platform == "linux":
        assert re.search(r"-py3-none-manylinux_2_\d+_\w+$", built[1].stem)


def test_a_wheel_with_parts_missing_is_not(built: tuple[Path, Path], tmp_path: Path) -> None:
    """As if the kernels had been compiled for one instruction set and files left out."""
    worse = tmp_path / built[1].name.replace("manylinux_2_", "linux_")
    with zipfile.ZipFile(built[1]) as good, zipfile.ZipFile(worse, "w") as bad:
        for name in good.namelist():
            if name.endswith(".so"):
                bad.writestr(name, good.read(name).replace(b"portable\0", b"portably\0"))
                bad.writestr(f"epochmark.libs/{Path(name).name}", good.read(name))
            elif not name.endswith(("py.typed", "LICENSE")):
                bad.writestr(name, good.read(name))
        bad.writestr("epochmark/native/api.h", "")
    found = "\n".join(build_wheel.faults(worse))
    for fault in ("no kernels for portable", "py.typed", "LICENSE", "2 shared", "source", "api.h"):
        assert fault in found


def test_it_runs_where_there_is_no_compiler(
    installed: Installed, program: Program, tmp_path: Path
) -> None:
    words = ("epochmark", "run", "native", "--steps", "20", *SMALL_BATCH, "--anyway")
    done = installed.run(*words, cwd=tmp_path, environment=program.environment)
    assert done.returncode == 0, done.stdout + done.stderr
    (record,) = program.records()
    assert record["engine"]["name"] == "native"
    assert record["headline"]["validity"] == "partial"


def test_the_kernels_for_this_processor_are_found(installed: Installed, tmp_path: Path) -> None:
    """The processor's features as the system lists them: a compiler whose runtime library does not
    look for them leaves only the slowest kernels."""
    ask = "import epochmark.native as n; print(n.__file__, *n.instruction_sets())"
    done = installed.run("python", "-c", ask, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    file, *found = done.stdout.split()
    assert Path(file).is_relative_to(installed.scripts.parent)
    assert found[-1] == "portable"
    if psutil.LINUX:
        listed = set(Path("/proc/cpuinfo").read_text("utf-8").split())
        assert ("avx2" in found) == ({"avx2", "fma"} <= listed)
        wanted = {"avx512f", "avx512dq", "avx512bw", "avx512vl", "fma"}
        assert ("avx512" in found) == (wanted <= listed)


def test_type_checkers_see_its_types(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(
        "from epochmark.errors import EpochmarkError\nEpochmarkError('no', exit_code='two')\n"
    )
    words = (sys.executable, "-m", "mypy", "--python-executable", installed.scripts / "python")
    done = subprocess.run(
        [*words, "--cache-dir", tmp_path / "cache", "user.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'expected "int"' in done.stdout, done.stdout + done.stderr
