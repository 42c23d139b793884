"""Managed environments: real venvs, real pip, real wheels from a folder, no network."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from epochmark.bench.interpreters.versions import find_version, make_version
from epochmark.engines import Requirements, get_engine
from epochmark.environments.install import create_venv, install
from epochmark.environments.managed import BUILDING_PREFIX, Environments
from epochmark.environments.manifest import MANIFEST, Manifest, encode_manifest
from epochmark.environments.requirements import Platform, environment_name
from epochmark.errors import EpochmarkError
from tests.pipeline.program import Program
from tests.pipeline.wheels import make_wheel

OWN = Path(sys.executable)
ROW = Requirements(pip=("tiny-framework>=1,<2",), download_mb=1, installed_mb=20)


def silent(text: str) -> None:
    """Hears of progress where no test looks at it."""


def not_waiting(holder: str) -> None:
    raise AssertionError(f"the lock is held by {holder}")


def contents(environments: Environments) -> list[str]:
    return sorted(path.name for path in environments.folder.iterdir() if path.name != ".lock")


def test_an_environment_is_made_used_and_removed(wheels: Path, environments: Environments) -> None:
    said: list[str] = []
    with environments.changing(not_waiting):
        made = install(environments, ROW, "Tiny", OWN, said.append)
    name = environment_name(ROW)
    assert contents(environments) == [name]
    assert made.manifest.installed["tiny-framework"] == "1.2"
    assert made.manifest.size_bytes > 0
    assert any("tiny-framework 1.2" in text for text in said)
    asked = [str(made.python), "-c", "import sys, tiny_framework; print(sys.prefix)"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == str(made.folder)

    shutil.rmtree(wheels)  # a second install needs nothing: it is there
    with environments.changing(not_waiting):
        assert install(environments, ROW, "Tiny", OWN, silent).manifest == made.manifest

    with made.in_use(), environments.changing(not_waiting):
        with pytest.raises(EpochmarkError, match="in use by another epochmark run"):
            environments.remove(name)
        assert contents(environments) == [name]
    with environments.changing(not_waiting):
        environments.remove(name)
    assert contents(environments) == []


@pytest.mark.usefixtures("copied_venvs")
def test_a_version_has_an_environment_of_its_own_that_engines_lists(
    wheels: Path, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Made on request, with packages that are called as the framework's."""
    folder = program.folder / "environments"
    for variable in (monkeypatch.setenv, program.environment.__setitem__):
        variable("EPOCHMARK_ENVIRONMENTS", str(folder))
    make_wheel(wheels, "tinygrad", "0.13.1")
    make_wheel(wheels, "tinygrad", "0.14.0")
    info = get_engine("tinygrad").info
    made = make_version(info, "0.13", not_waiting, silent)
    assert made.manifest.installed["tinygrad"] == "0.13.1"
    assert find_version(info, "0.13") == made
    assert find_version(info, "0.14") is None
    assert f"tinygrad@0.13: environment {made.manifest.name}" in program.run("engines").stdout
    with pytest.raises(EpochmarkError, match="tinygrad"):
        make_version(info, "0.99", not_waiting, silent)
    assert contents(Environments(folder)) == [made.manifest.name]


@pytest.mark.usefixtures("copied_venvs")
def test_what_pip_cannot_find_leaves_nothing(wheels: Path, environments: Environments) -> None:
    row = Requirements(pip=("no-such-framework==1",))
    with (
        environments.changing(not_waiting),
        pytest.raises(EpochmarkError, match="no-such-framework"),
    ):
        install(environments, row, "None Such", OWN, silent)
    assert contents(environments) == []


def test_a_disk_too_small_is_reported_before_anything_is_done(environments: Environments) -> None:
    row = Requirements(pip=("tiny-framework",), installed_mb=10**9)
    with environments.changing(not_waiting), pytest.raises(EpochmarkError, match="GB free"):
        install(environments, row, "Huge", OWN, silent)
    assert contents(environments) == []


def test_a_disk_that_runs_full_is_reported_and_nothing_is_left(
    wheels: Path, environments: Environments, tmp_path: Path
) -> None:
    """A real small file system; only root may mount one."""
    environments.folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(environments.folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here (not root?)")
    try:
        with (
            environments.changing(not_waiting),
            pytest.raises(EpochmarkError, match="disk is full"),
        ):
            install(environments, Requirements(pip=("tiny-framework",)), "Tiny", OWN, silent)
        assert contents(environments) == []
    finally:
        subprocess.run(["umount", str(environments.folder)], check=True)


def test_a_killed_install_never_passes_for_ready(wheels: Path, environments: Environments) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from epochmark.engines import Requirements\n"
        "from epochmark.environments.install import install\n"
        "from epochmark.environments.managed import Environments\n"
        "environments = Environments(Path(sys.argv[1]))\n"
        "row = Requirements(pip=('tiny-framework>=1,<2',), download_mb=1, installed_mb=20)\n"
        "tell = lambda text: print(text, flush=True)\n"
        "with environments.changing(tell):\n"
        "    install(environments, row, 'Tiny', Path(sys.executable), tell)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(environments.folder)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout as lines:
        while "asking pip" not in next(lines):
            pass
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    (left,) = contents(environments)
    assert left.startswith(BUILDING_PREFIX)
    assert environments.all() == []
    # pip that was just being started holds the lock as well, until it is the program it will be
    with environments.changing(silent):
        assert contents(environments) == []


def test_two_installs_do_not_meet(environments: Environments) -> None:
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from epochmark.environments.managed import Environments\n"
        "with Environments(Path(sys.argv[1])).changing(print):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", program, str(environments.folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert other.stdin is not None
    assert other.stdout is not None
    holders: list[str] = []

    def let_go(holder: str) -> None:
        holders.append(holder)
        assert other.stdin is not None
        other.stdin.close()

    with other.stdout as lines:
        assert next(lines) == b"held\n"
        with environments.changing(let_go):
            assert holders == [str(other.pid)]
    assert other.wait() == 0


@pytest.mark.parametrize("shape", ["folder", "link", "outside", "absent"])
def test_nothing_is_removed_that_was_not_made(
    environments: Environments, tmp_path: Path, shape: str
) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years of work")
    environments.folder.mkdir()
    name = {"outside": "../precious", "absent": "absent"}.get(shape, "mine")
    if shape == "folder":
        shutil.copytree(precious, environments.folder / "mine")
    elif shape == "link":
        (environments.folder / "mine").symlink_to(precious)
    with environments.changing(not_waiting), pytest.raises(EpochmarkError, match="left alone"):
        environments.remove(name)
    assert (precious / "thesis.txt").exists()
    if shape == "folder":
        assert (environments.folder / "mine" / "thesis.txt").exists()


def test_a_copied_manifest_does_not_make_a_folder_ours(environments: Environments) -> None:
    """The manifest names its folder: a copy of an environment is not removed by mistake."""
    folder = environments.folder / "copy"
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text(
        '{"version": 1, "name": "original", "requirements": [], "accelerators": ["cpu"], '
        '"python": "3.11.7", "created": "", "epochmark_version": "0", "installed": {}, '
        '"size_bytes": 0}'
    )
    assert environments.all() == []
    with environments.changing(not_waiting), pytest.raises(EpochmarkError, match="left alone"):
        environments.remove("copy")


def test_what_is_taken_by_something_else_is_reported_before_the_download(
    environments: Environments,
) -> None:
    """The wheels that the install would need are not even there."""
    (environments.folder / environment_name(ROW)).mkdir(parents=True)
    with environments.changing(not_waiting), pytest.raises(EpochmarkError, match="left alone"):
        install(environments, ROW, "Tiny", OWN, silent)


@pytest.mark.usefixtures("copied_venvs")
def test_an_environment_with_another_python_is_not_passed_off(
    wheels: Path, environments: Environments
) -> None:
    with environments.changing(not_waiting):
        made = install(environments, ROW, "Tiny", OWN, silent)
    name, version = environment_name(ROW), made.manifest.python
    environments.check_python(name, sys.version_info[:2])
    with pytest.raises(EpochmarkError, match=f"already exists, with Python {version}"):
        environments.check_python(name, (2, 7))


def test_what_somebody_asked_for_is_found_though_its_accelerator_was_not_seen(
    environments: Environments,
) -> None:
    info = get_engine("torch").info
    row = next(row for row in info.requirements if row.accelerators == ("cuda",))
    folder = environments.folder / environment_name(row)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(OWN)
    manifest = Manifest(
        name=folder.name, requirements=row.pip, accelerators=row.accelerators, python="3.11.1",
        created="2026-11-26T00:00:00Z", epochmark_version="0", installed={}, size_bytes=1,
    )  # fmt: skip
    (folder / MANIFEST).write_bytes(encode_manifest(manifest))
    machine = Platform("Linux", "x86_64", ("cpu",))
    found = environments.ready_for(info, machine)
    assert found is not None
    assert found.folder == folder


def test_an_engine_is_ready_when_its_modules_can_be_imported(
    program: Program, environments: Environments, wheels: Path
) -> None:
    """Through the real command; what it installs is a stand-in with the framework's name."""
    program.environment["EPOCHMARK_ENVIRONMENTS"] = str(environments.folder)
    make_wheel(wheels, "tinygrad", "0.14.0", content=b"raise ImportError('libtiny is missing')\n")
    broken = program.run("engines", "install", "tinygrad")
    assert broken.returncode == 1
    assert "does not work here: ImportError: libtiny is missing" in broken.stderr
    assert "is ready" not in broken.stdout
    assert contents(environments) == []

    make_wheel(wheels, "tinygrad", "0.14.0")
    done = program.run("engines", "install", "tinygrad")
    assert done.returncode == 0, done.stderr
    assert "is ready" in done.stdout


@pytest.mark.usefixtures("copied_venvs")
@pytest.mark.parametrize("lost", ["tiny_framework.py", "tiny_framework-1.2.dist-info"])
def test_an_environment_that_no_longer_works_is_made_again(
    wheels: Path, environments: Environments, lost: str
) -> None:
    def problem_of(python: Path) -> str | None:
        done = subprocess.run([str(python), "-I", "-c", "import tiny_framework"], check=False)
        return f"exit status {done.returncode}" if done.returncode else None

    with environments.changing(not_waiting):
        made = install(environments, ROW, "Tiny", OWN, silent, problem_of)
        (packages,) = made.folder.glob("lib/python*/site-packages")
        gone = packages / lost
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
        said: list[str] = []
        again = install(environments, ROW, "Tiny", OWN, said.append, problem_of)
    assert again.manifest.installed == made.manifest.installed
    assert any("making it again" in text for text in said)
    assert gone.exists()


def test_a_python_without_venv_is_explained(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named venv' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(EpochmarkError, match="apt install python3-venv"):
        create_venv(python, tmp_path)
