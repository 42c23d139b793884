"""Run an environment's pip: ask what it would install, install it, explain what went wrong.

Of the user's settings for pip, whether in files or variables, those count that say where packages
come from and which are trusted. All others are left out, since some send packages elsewhere
(``target``, ``prefix``, ``root``, ``user``, ``python``) or install nothing or only a part
(``dry-run``, ``no-deps``).
"""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from epochmark.engines import all_infos
from epochmark.errors import EpochmarkError

OnLine = Callable[[str], None]
"""Hears what is going on, in a few words."""

REPORTED_MB = 1.0
"""Smaller downloads are over before anyone has read their name."""

_OPTIONS = ("--no-input", "--disable-pip-version-check", "--progress-bar", "off")

_SOURCES = (
    "index-url", "pypi-url", "extra-index-url", "no-index", "find-links",
    "proxy", "cert", "client-cert", "trusted-host", "keyring-provider",
    "timeout", "default-timeout", "retries", "resume-retries", "cache-dir", "no-cache-dir",
    "constraint", "build-constraint", "only-binary", "no-binary", "prefer-binary",
    "uploaded-prior-to", "use-feature", "use-deprecated",
)  # fmt: skip
"""The user's settings that count: where packages come from, how they are fetched, and which are
allowed."""

_SETTING = re.compile(r"((?:global|install|:env:)\.([\w-]+))=(.+)")
_SECTIONS = ("global", "install", ":env:")
"""The later ones of these count more, as with pip."""

_MISLEADING = ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__")
"""Variables that lead Python to other packages or another interpreter."""

_SEVERAL_GB = ("nvidia-", "cuda-")
"""NVIDIA's own packages, by the beginnings of their names; those of engines come with them."""

_COLLECTING = re.compile(r"\s*Collecting ([\w.-]+)")
_DOWNLOAD = re.compile(r"\s*Downloading (\S+) \(([\d.]+) ([kMG])B\)")
_IN_MB = {"k": 1e-3, "M": 1.0, "G": 1e3}
_DISK_FULL = ("No space left on device", "Errno 28", "Disk quota exceeded")
_UNREACHABLE = (
    "Failed to establish a new connection", "Temporary failure in name resolution",
    "Max retries exceeded", "Connection refused", "Network is unreachable", "Read timed out",
)  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """A package that pip would install."""

    name: str
    version: str


class CudaPlannedError(Exception):
    """pip would install packages for NVIDIA GPUs; the message names the first."""


class PipError(Exception):
    """pip failed; ``output`` is all it wrote."""

    def __init__(self, output: str) -> None:
        super().__init__(output)
        self.output = output


def plan(
    python: Path, arguments: Sequence[str], on_line: OnLine, takes_cuda: bool
) -> list[Planned]:
    """What ``pip install ARGUMENTS`` would install, without installing it.

    pip downloads everything even then, after it has looked at the dependencies of all. Unless
    ``takes_cuda`` it is stopped as soon as it names a package for NVIDIA GPUs only: that is before
    it downloads more than descriptions where the index offers those apart, as PyPI does.

    Raises ``PipError``, ``CudaPlannedError``.
    """

    def look(line: str) -> None:
        named = _COLLECTING.match(line)
        if not takes_cuda and named and is_for_cuda(named[1]):
            raise CudaPlannedError(named[1])

    with tempfile.TemporaryDirectory(prefix="epochmark-plan-") as folder:
        report = Path(folder) / "report.json"
        options = ["--dry-run", "--ignore-installed", "--report", str(report)]
        _run(python, ["install", *options, *arguments], on_line, look)
        planned = list(_planned(json.loads(report.read_bytes())["install"]))
    for package in planned:
        if not takes_cuda and is_for_cuda(package.name):
            raise CudaPlannedError(package.name)
    return planned


def is_for_cuda(package: str) -> bool:
    """Whether a package of this name serves NVIDIA GPUs only."""
    name = package.lower().replace("_", "-")
    return name.startswith(_SEVERAL_GB) or any(
        name.startswith(info.cuda_packages) for info in all_infos()
    )


def _planned(packages: Iterable[dict[str, dict[str, str]]]) -> Iterator[Planned]:
    for package in packages:
        yield Planned(package["metadata"]["name"], package["metadata"]["version"])


def install(python: Path, arguments: Sequence[str], on_line: OnLine) -> str:
    """``pip install ARGUMENTS``; returns its output. Raises ``PipError``."""
    return _run(python, ["install", *arguments], on_line)


def _run(
    python: Path,
    arguments: Sequence[str],
    on_line: OnLine,
    look: Callable[[str], None] = lambda line: None,
) -> str:
    """pip in a session of its own: Ctrl-C reaches us, and we end it with all its children, as we do
    when ``look``, which gets every line, raises."""
    command, *rest = arguments
    with subprocess.Popen(
        [str(python), "-I", "-m", "pip", command, *_OPTIONS, *rest],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**bare_environment(os.environ), **user_sources(python)},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        lines = []
        try:
            for line in process.stdout:
                lines.append(line)
                look(line)
                news = _news(line)
                if news:
                    on_line(news)
            status = process.wait()
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if status != 0:
        raise PipError("".join(lines))
    return "".join(lines)


def _news(line: str) -> str | None:
    """What a line of pip's output means to a waiting user; None for most."""
    if line.startswith("Installing collected packages"):
        return "unpacking the packages"
    if line.lstrip().startswith("Building wheel for"):
        return line.strip().lower()
    download = _DOWNLOAD.match(line)
    if download is None or float(download[2]) * _IN_MB[download[3]] < REPORTED_MB:
        return None
    package = "-".join(download[1].rsplit("/", 1)[-1].split("-")[:2])
    return f"downloading {package}, {download[2]} {download[3]}B"


def bare_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The user's environment without settings for pip, and without what leads Python elsewhere."""
    kept = {
        name: value
        for name, value in environment.items()
        if name not in _MISLEADING and not name.startswith("PIP_")
    }
    return {**kept, "PIP_CONFIG_FILE": os.devnull}  # then pip reads no file at all


def user_sources(python: Path) -> dict[str, str]:
    """The user's settings that count, from all files and variables that pip reads, as variables.

    Raises ``PipError`` where pip cannot read them itself.
    """
    listed: dict[str, list[str]] = {}
    for line in _config(python, "list").splitlines():
        setting = _SETTING.fullmatch(line)
        if setting and setting[2] in _SOURCES:
            listed.setdefault(setting[1], []).append(str(ast.literal_eval(setting[3])))
    found: dict[str, str] = {}
    for section in _SECTIONS:
        for name in _SOURCES:
            # pip 24 and newer list what several files set once for each, in no order that counts
            key = f"{section}.{name}"
            values = listed.get(key, [""])
            value = values[0] if len(values) == 1 else _config(python, "get", key).rstrip("\n")
            if value:  # pip ignores empty ones
                found[f"PIP_{name.upper().replace('-', '_')}"] = value
    return found


def _config(python: Path, *arguments: str) -> str:
    """What ``pip config`` says of all files; no setting may silence it, restrict it to one of them,
    or lead it to another interpreter."""
    plain = ("QUIET", "REQUIRE_VIRTUALENV", "USER", "GLOBAL", "SITE")
    heard = {**{f"PIP_{name}": "0" for name in plain}, "_PIP_RUNNING_IN_SUBPROCESS": "1"}
    kept = {name: value for name, value in os.environ.items() if name not in _MISLEADING}
    answer = subprocess.run(
        [str(python), "-I", "-m", "pip", "config", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env={**kept, **heard},
        check=False,
    )
    if answer.returncode != 0:
        raise PipError(answer.stderr + answer.stdout)
    return answer.stdout


def explain(error: PipError, what: str) -> EpochmarkError:
    """pip's failure in words for the user: which, why, and what to do."""
    errors = [line for line in error.output.splitlines() if line.startswith("ERROR:")]
    last = (errors or error.output.strip().splitlines() or ["pip said nothing"])[0]
    if any(sign in error.output for sign in _DISK_FULL):
        return disk_full(what)
    if any(sign in error.output for sign in _UNREACHABLE):
        advice = (
            "No package index could be reached. 'pip config list' shows which ones pip asks; "
            "'pip config set global.index-url URL' names another."
        )
    else:
        advice = "'pip config list' shows which package indexes pip asks."
    return EpochmarkError(f"{what} could not be installed; pip says: {last}\n{advice}")


def disk_full(what: str) -> EpochmarkError:
    """The disk ran full."""
    return EpochmarkError(
        f"{what} could not be installed: the disk is full. The unfinished environment was "
        "removed.\n"
        "Free some space, or set EPOCHMARK_ENVIRONMENTS to a folder on another disk (pip also "
        "needs room in TMPDIR)."
    )
