"""Where packages of an environment come from: builds for this machine, the user's own sources."""

from __future__ import annotations

import contextlib
import http.server
import os
import subprocess
import threading
import zipfile
from pathlib import Path

import pytest

from epochmark.engines import Requirements
from epochmark.environments.install import choose_sources, install
from epochmark.environments.managed import Environments
from epochmark.environments.pip import user_sources
from epochmark.errors import EpochmarkError
from tests.pipeline.test_environments import OWN, ROW, contents, not_waiting, silent
from tests.pipeline.wheels import make_wheel


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
                    (name,) = (
                        member for member in wheel.namelist() if member.endswith("/METADATA")
                    )
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


def test_the_public_source_is_asked_when_the_users_has_no_such_build(
    wheels: Path, python_with_pip: Path, tmp_path: Path
) -> None:
    cuda_only(wheels)
    make_wheel(tmp_path / "public", "big-framework", "1.0+cpu")
    row = Requirements(pip=("big-framework==1.0",), find_links=(str(tmp_path / "public"),))
    said: list[str] = []
    sources = choose_sources(python_with_pip, row, "Big", row.pip, said.append)
    assert f"--find-links={tmp_path / 'public'}" in sources
    assert any("big-framework 1.0+cpu" in text for text in said)


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


@pytest.mark.usefixtures("copied_venvs")
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
    with environments.changing(not_waiting):
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


@pytest.mark.usefixtures("copied_venvs")
def test_a_configuration_that_pip_cannot_read_is_reported(
    environments: Environments, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.conf").write_text("[global\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    with (
        environments.changing(not_waiting),
        pytest.raises(EpochmarkError, match="could not be loaded"),
    ):
        install(environments, ROW, "Tiny", OWN, silent)
    assert contents(environments) == []
