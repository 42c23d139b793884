"""Managed environments: real venvs, real pip, real wheels from a folder, no network."""

from __future__ import annotations

import contextlib
import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from epochmark.bench.interpreters.versions import find_version, make_version
from epochmark.engines import Requirements, get_engine
from epochmark.environments.install import choose_sources, create_venv, install
from epochmark.environments.managed import BUILDING_PREFIX, Environments
from epochmark.environments.manifest import MANIFEST, Manifest, encode_manifest
from epochmark.environments.pip import user_sources
from epochmark.environments.requirements import Platform, environment_name
from epochmark.errors import EpochmarkError
from tests.pipeline.program import Program
from tests.pipeline.wheels import make_wheel

OWN = Path(sys.executable)
ROW = Requirements(pip=("tiny-framework>=1,<2",), download_mb=1, installed_mb=20)


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the user's pip configuration names as the only source of packages."""
    folder = tmp_path / "wheels"
    make_wheel(folder, "tiny-framework", "1.2")
    make_wheel(folder, "numpy", "2.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return Environments(tmp_path / "environments")


@pytest.fixture(scope="session")
def python_with_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter whose pip is asked what it would install."""
    folder = tmp_path_factory.mktemp("pip") / "venv"
    create_venv(OWN, folder)
    return folder / "bin" / "python"


def silent(text: str) -> None:
    """What is told of progress, where no test looks at it."""


def nobody(holder: str) -> None:
    raise AssertionError(f"the lock is held by {holder}")


def contents(environments: Environments) -> list[str]:
    return sorted(path.name for path in environments.folder.iterdir() if path.name != ".lock")


def test_an_environment_is_made_used_and_removed(wheels: Path, environments: Environments) -> None:
    told: list[str] = []
    with environments.changing(nobody):
        made = install(environments, ROW, "Tiny", OWN, told.append)
    name = environment_name(ROW)
    assert contents(environments) == [name]
    assert made.manifest.installed["tiny-framework"] == "1.2"
    assert made.manifest.size_bytes > 0
    assert any("tiny-framework 1.2" in text for text in told)
    asked = [str(made.python), "-c", "import sys, tiny_framework; print(sys.prefix)"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == str(made.folder)

    shutil.rmtree(wheels)  # a second install needs nothing: it is there
    with environments.changing(nobody):
        assert install(environments, ROW, "Tiny", OWN, silent).manifest == made.manifest

    with made.in_use(), environments.changing(nobody):
        with pytest.raises(EpochmarkError, match="in use by another epochmark run"):
            environments.remove(name)
        assert contents(environments) == [name]
    with environments.changing(nobody):
        environments.remove(name)
    assert contents(environments) == []


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
    made = make_version(info, "0.13", nobody, silent)
    assert made.manifest.installed["tinygrad"] == "0.13.1"
    assert find_version(info, "0.13") == made
    assert find_version(info, "0.14") is None
    assert f"tinygrad@0.13: environment {made.manifest.name}" in program.run("engines").stdout
    with pytest.raises(EpochmarkError, match="tinygrad"):
        make_version(info, "0.99", nobody, silent)
    assert contents(Environments(folder)) == [made.manifest.name]


def test_what_pip_cannot_find_leaves_nothing(wheels: Path, environments: Environments) -> None:
    row = Requirements(pip=("no-such-framework==1",))
    with environments.changing(nobody), pytest.raises(EpochmarkError, match="no-such-framework"):
        install(environments, row, "None Such", OWN, silent)
    assert contents(environments) == []


def test_a_disk_too_small_is_told_before_anything_is_done(environments: Environments) -> None:
    row = Requirements(pip=("tiny-framework",), installed_mb=10**9)
    with environments.changing(nobody), pytest.raises(EpochmarkError, match="GB free"):
        install(environments, row, "Huge", OWN, silent)
    assert contents(environments) == []


def test_a_disk_that_runs_full_is_told_and_nothing_is_left(
    wheels: Path, environments: Environments, tmp_path: Path
) -> None:
    """A real small file system; only root may mount one."""
    environments.folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(environments.folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here (not root?)")
    try:
        with environments.changing(nobody), pytest.raises(EpochmarkError, match="disk is full"):
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
    with environments.changing(nobody), pytest.raises(EpochmarkError, match="left alone"):
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
    with environments.changing(nobody), pytest.raises(EpochmarkError, match="left alone"):
        environments.remove("copy")


def cuda_only(wheels: Path) -> Requirements:
    """The situation with PyTorch on Linux: the ordinary index has only a build for CUDA."""
    make_wheel(wheels, "big-framework", "1.0", needs=["nvidia-big"])
    make_wheel(wheels, "nvidia-big", "13.0")
    return Requirements(pip=("big-framework==1.0",), download_mb=1, installed_mb=20)


def test_gigabytes_of_cuda_are_refused(wheels: Path, python_with_pip: Path) -> None:
    row = cuda_only(wheels)
    with pytest.raises(EpochmarkError, match="for NVIDIA GPUs, several GB") as raised:
        choose_sources(python_with_pip, row, "Big", row.pip, silent)
    assert "--accelerator cuda" in str(raised.value)


def test_they_are_refused_before_they_are_downloaded(
    python_with_pip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With an index that offers the packages' metadata apart, as PyPI does (PEP 658)."""
    folder = tmp_path / "index"
    row = cuda_only(folder)
    asked: list[str] = []
    ended = threading.Event()

    class Index(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path.startswith("/simple/"):
                name = self.path.strip("/").removeprefix("simple/").replace("-", "_")
                kind, body = (
                    "text/html",
                    "".join(
                        f'<a data-core-metadata="true" data-dist-info-metadata="true" '
                        f'href="/{wheel.name}">{wheel.name}</a>'
                        for wheel in folder.glob(f"{name}-*.whl")
                    ).encode(),
                )
            elif self.path.endswith(".metadata"):
                if self.path.startswith("/nvidia"):
                    ended.wait(60)  # by then pip was stopped, or the test has failed
                with zipfile.ZipFile(folder / self.path[1:].removesuffix(".metadata")) as wheel:
                    (name,) = (one for one in wheel.namelist() if one.endswith("/METADATA"))
                    kind, body = "text/plain", wheel.read(name)
            else:
                kind, body = "application/zip", (folder / self.path[1:]).read_bytes()
            with contextlib.suppress(OSError):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Not on the tests' standard error."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.delenv("PIP_NO_INDEX", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple/")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    try:
        with pytest.raises(EpochmarkError, match="for NVIDIA GPUs, several GB"):
            choose_sources(python_with_pip, row, "Big", row.pip, silent)
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
    assert "/big_framework-1.0-py3-none-any.whl.metadata" in asked
    assert not [path for path in asked if path.endswith(".whl")]


def test_what_is_taken_by_something_else_is_told_before_the_download(
    environments: Environments,
) -> None:
    """The wheels that the install would need are not even there."""
    (environments.folder / environment_name(ROW)).mkdir(parents=True)
    with environments.changing(nobody), pytest.raises(EpochmarkError, match="left alone"):
        install(environments, ROW, "Tiny", OWN, silent)


def test_an_environment_with_another_python_is_not_passed_off(
    wheels: Path, environments: Environments
) -> None:
    with environments.changing(nobody):
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


def test_the_public_source_is_asked_when_the_users_has_no_such_build(
    wheels: Path, python_with_pip: Path, tmp_path: Path
) -> None:
    cuda_only(wheels)
    make_wheel(tmp_path / "public", "big-framework", "1.0+cpu")
    row = Requirements(pip=("big-framework==1.0",), find_links=(str(tmp_path / "public"),))
    told: list[str] = []
    sources = choose_sources(python_with_pip, row, "Big", row.pip, told.append)
    assert f"--find-links={tmp_path / 'public'}" in sources
    assert any("big-framework 1.0+cpu" in text for text in told)


def test_the_users_own_source_comes_first(
    wheels: Path, python_with_pip: Path, tmp_path: Path
) -> None:
    row = Requirements(pip=ROW.pip, find_links=(str(tmp_path / "nowhere"),))
    assert choose_sources(python_with_pip, row, "Tiny", row.pip, silent) == []


ELSEWHERE = {
    "target": "{elsewhere}",
    "prefix": "{elsewhere}",
    "root": "{elsewhere}",
    "user": "true",
    "no-deps": "true",
    "dry-run": "true",
    "quiet": "3",
    "require-virtualenv": "true",
    "python": "/no/such/python",
    "requirement": "/no/such/file",
    "platform": "win32",
}
"""Settings of pip that send packages elsewhere, or install nothing, too little or too much."""


def without_pip_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)


def configure(
    settings: dict[str, str], how: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Give pip these settings, and no others in variables: as variables, or in a section of a
    file."""
    without_pip_variables(monkeypatch)
    if how == "variables":
        for name, value in settings.items():
            monkeypatch.setenv(f"PIP_{name.upper().replace('-', '_')}", value)
        return
    lines = [f"[{how}]", *(f"{name} = {value}" for name, value in settings.items())]
    (folder / "pip.conf").write_text("\n".join(lines) + "\n", encoding="utf-8")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(folder / "pip.conf"))


@pytest.mark.parametrize("how", ["global", "install", "variables"])
def test_packages_end_in_the_environment_whatever_pip_is_configured_for(
    environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Where packages come from is the user's own choice, given in the same way."""
    make_wheel(tmp_path / "wheels", "tiny-framework", "1.2", needs=["tiny-helper"])
    make_wheel(tmp_path / "wheels", "tiny-helper", "3.0")
    make_wheel(tmp_path / "wheels", "numpy", "2.0")
    elsewhere = tmp_path / "elsewhere"
    away = {name: value.format(elsewhere=elsewhere) for name, value in ELSEWHERE.items()}
    sources = {"no-index": "true", "find-links": str(tmp_path / "wheels")}
    configure(away | sources, how, tmp_path, monkeypatch)
    with environments.changing(nobody):
        made = install(environments, ROW, "Tiny", OWN, silent)
    assert made.manifest.installed.keys() >= {"tiny-framework", "tiny-helper", "numpy"}
    asked = [str(made.python), "-I", "-c", "import tiny_framework, tiny_helper, numpy"]
    subprocess.run(asked, check=True)
    assert not elsewhere.exists()


def test_the_users_sources_count_wherever_they_are_set(
    python_with_pip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the two files in the home folder the newer kind counts more, a command's section more than
    the global one, and variables most."""
    home = tmp_path / "home"
    (home / ".pip").mkdir(parents=True)
    (home / ".pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://home/simple\nproxy = http://proxy:3128\ntimeout = 7\n"
    )
    (home / ".config" / "pip").mkdir(parents=True)
    (home / ".config" / "pip" / "pip.conf").write_text(
        "[global]\nuser = true\nquiet = 2\n"
        "index-url = https://newer/simple\ntarget = /elsewhere\ntimeout = 8\n"
        "[install]\ntimeout = 9\ncert = /ca.pem\nextra-index-url =\n  https://a\n  https://b\n"
    )
    without_pip_variables(monkeypatch)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("PIP_CERT", "/own-ca.pem")
    found = user_sources(python_with_pip)
    extra = found.pop("PIP_EXTRA_INDEX_URL")
    assert extra.split() == ["https://a", "https://b"]
    wanted = {
        "PIP_INDEX_URL": "https://newer/simple",
        "PIP_PROXY": "http://proxy:3128",
        "PIP_TIMEOUT": "9",
        "PIP_CERT": "/own-ca.pem",
    }
    assert {name: found[name] for name in wanted} == wanted
    assert "PIP_TARGET" not in found


def test_a_configuration_that_pip_cannot_read_is_told(
    environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.conf").write_text("[global\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    with environments.changing(nobody), pytest.raises(EpochmarkError, match="could not be loaded"):
        install(environments, ROW, "Tiny", OWN, silent)
    assert contents(environments) == []


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


@pytest.mark.parametrize("lost", ["tiny_framework.py", "tiny_framework-1.2.dist-info"])
def test_an_environment_that_no_longer_works_is_made_anew(
    wheels: Path, environments: Environments, lost: str
) -> None:
    def problem_of(python: Path) -> str | None:
        done = subprocess.run([str(python), "-I", "-c", "import tiny_framework"], check=False)
        return f"exit status {done.returncode}" if done.returncode else None

    with environments.changing(nobody):
        made = install(environments, ROW, "Tiny", OWN, silent, problem_of)
        (packages,) = made.folder.glob("lib/python*/site-packages")
        gone = packages / lost
        shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
        told: list[str] = []
        again = install(environments, ROW, "Tiny", OWN, told.append, problem_of)
    assert again.manifest.installed == made.manifest.installed
    assert any("making it again" in text for text in told)
    assert gone.exists()


def test_a_python_without_venv_is_explained(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named venv' >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(EpochmarkError, match="apt install python3-venv"):
        create_venv(python, tmp_path)
