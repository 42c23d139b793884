"""Make a managed environment: whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from epochmark._version import __version__
from epochmark.engines import Requirements
from epochmark.environments import pip
from epochmark.environments.managed import BUILDING_PREFIX, Environment, Environments
from epochmark.environments.manifest import MANIFEST, Manifest, encode_manifest
from epochmark.environments.pip import CudaPlannedError, OnLine, PipError, Planned
from epochmark.environments.requirements import NUMPY, environment_name
from epochmark.errors import EpochmarkError
from epochmark.records import dates

BIG_DOWNLOAD_MB = 100
_MB = 10**6

ABLE_PIP = "pip>=23.2"
"""Says what it would install, from packages' descriptions where an index offers them apart."""

ProblemOf = Callable[[Path], str | None]
"""Takes an environment's interpreter; says what does not work there, None where all does."""

_NO_VENV = ("ensurepip is not available", "No module named venv", "No module named ensurepip")

_INSTALLED = (
    "import json, sys\n"
    "from importlib.metadata import distributions, version\n"
    "json.dump({d.metadata['Name']: d.version for d in distributions()}, sys.stdout)\n"
)


def install(
    environments: Environments,
    row: Requirements,
    title: str,
    python: Path,
    on_line: OnLine,
    problem_of: ProblemOf = lambda python: None,
) -> Environment:
    """The environment of ``row``, made with the interpreter ``python`` unless it is there already
    and whole.

    ``problem_of`` says what does not work with an environment's interpreter. Call it while
    ``environments.changing``. It is built under a name that never passes for ready and gets its
    own when it works and is on disk. Raises ``EpochmarkError``; nothing of it is left then.
    """
    name = environment_name(row)
    ready = environments.find(name)
    if ready is not None:
        on_line("checking whether it works")
        problem = _problem(ready.python, row, problem_of)
        if problem is None:
            return ready
        on_line(f"it exists but does not work ({problem}): making it again")
    environments.check_replaceable(name)
    _check_space(environments.folder, row, title)
    # a name of its own each time: what a killed install left may still be written to
    building = Path(tempfile.mkdtemp(prefix=f"{BUILDING_PREFIX}{name}-", dir=environments.folder))
    try:
        on_line("creating the environment")
        create_venv(python, building)
        _install_packages(building / "bin" / "python", row, title, on_line)
        on_line("checking whether it works")
        problem = _problem(building / "bin" / "python", row, problem_of)
        if problem is not None:
            raise EpochmarkError(
                f"{title}: pip installed it, but it does not work here: {problem}.\n"
                "The environment was removed."
            )
        return _finish(environments, building, row, name)
    except (OSError, subprocess.SubprocessError) as error:
        reason = getattr(error, "strerror", None) or error
        raise EpochmarkError(
            f"{title} could not be installed in {environments.folder}: {reason}"
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _problem(python: Path, row: Requirements, problem_of: ProblemOf) -> str | None:
    """What keeps an environment from being ready: a package that is not in it, or does not work."""
    try:
        installed = _installed(python)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError) as error:
        return f"its interpreter does not answer ({error})"
    missing = [
        requirement
        for requirement in (*row.pip, NUMPY)
        if not any(_names(requirement, package) for package in installed)
    ]
    return f"{', '.join(missing)} is not in it" if missing else problem_of(python)


def _installed(python: Path) -> dict[str, str]:
    """Names and versions of the packages in an environment."""
    listed = subprocess.run(
        [str(python), "-I", "-c", _INSTALLED], capture_output=True, check=True, timeout=120
    )
    return msgspec.json.decode(listed.stdout, type=dict[str, str])


def size_text(row: Requirements) -> str:
    """What installing this row costs, in words."""
    return f"about {_size(row.download_mb)} to download, {_size(row.installed_mb)} on disk"


def _size(megabytes: int) -> str:
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes} MB"


def create_venv(python: Path, folder: Path) -> None:
    """A virtual environment of ``python`` with pip, by the standard ``venv``.

    Raises ``EpochmarkError`` with what to install where that module is incomplete.
    """
    made = subprocess.run(
        [str(python), "-I", "-m", "venv", str(folder)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=pip.bare_environment(os.environ),
        check=False,
    )
    if made.returncode == 0:
        return
    output = (made.stderr + made.stdout).strip()
    # venv says no more than that its ensurepip failed, so the disk is asked itself
    if "No space left" in output or shutil.disk_usage(folder).free < _MB:
        raise pip.disk_full("the environment")
    if any(sign in output for sign in _NO_VENV):
        raise EpochmarkError(
            f"{python} cannot make virtual environments: its venv or ensurepip module is missing.\n"
            "Debian, Ubuntu: apt install python3-venv"
        )
    last = output.splitlines()[-1] if output else f"exit status {made.returncode}"
    raise EpochmarkError(f"{python} -m venv failed: {last}")


def _install_packages(python: Path, row: Requirements, title: str, on_line: OnLine) -> None:
    requirements = [*row.pip, NUMPY]
    try:
        on_line("asking pip what it would install")
        with contextlib.suppress(PipError):  # an older one may still do
            pip.install(python, [ABLE_PIP], on_line)
        sources = choose_sources(python, row, title, requirements, on_line)
        # Python compiles what the check imports, and later workers anything else they import; pip
        # would compile every file of every package, which takes it longer than to unpack them
        pip.install(python, ["--no-compile", *requirements, *sources], on_line)
    except PipError as error:
        raise pip.explain(error, title) from error


def choose_sources(
    python: Path, row: Requirements, title: str, requirements: Sequence[str], on_line: OnLine
) -> list[str]:
    """pip's options for where packages come from: none (the user's configuration) if that yields
    the right build, else the row's public indexes as well.

    Raises ``EpochmarkError`` when gigabytes of CUDA would be installed for a machine without it.
    """
    public = _public_sources(row)
    candidates = [[], public] if public else [[]]
    takes_cuda = "cuda" in row.accelerators
    failure: PipError | None = None
    for sources in candidates:
        try:
            planned = pip.plan(python, [*requirements, *sources], on_line, takes_cuda)
        except CudaPlannedError:
            continue
        except PipError as error:
            failure = error
            continue
        on_line(f"{planned_text(planned, requirements)}; {size_text(row)}")
        return list(sources)
    if failure is not None:
        raise failure
    raise EpochmarkError(
        f"pip would install a build of {title} for NVIDIA GPUs, several GB, and this machine has "
        f"none.\nNo build for {'/'.join(row.accelerators)} was found in pip's configuration"
        + (f" or at {', '.join([*row.indexes, *row.find_links])}" if public else "")
        + ". Make one known to pip ('pip config set global.extra-index-url URL' or "
        "'global.find-links FOLDER'), or take the large one: --accelerator cuda"
    )


def _public_sources(row: Requirements) -> list[str]:
    options = [f"--extra-index-url={index}" for index in row.indexes]
    options += [f"--find-links={page}" for page in row.find_links]
    # a machine that does not reach them must not wait for minutes to find out
    return [*options, "--retries=1", "--timeout=15"] if options else []


def planned_text(planned: Sequence[Planned], requirements: Sequence[str]) -> str:
    """The packages asked for with their versions, and how many come along."""
    asked = [
        package
        for package in planned
        if any(_names(requirement, package.name) for requirement in requirements)
    ]
    named = ", ".join(f"{package.name} {package.version}" for package in asked)
    others = len(planned) - len(asked)
    return f"{named} and {others} more packages" if others else named


def _names(requirement: str, package: str) -> bool:
    name = "".join(c if c.isalnum() or c in "-_." else " " for c in requirement).split()[0]
    return name.lower().replace("_", "-") == package.lower().replace("_", "-")


def _check_space(folder: Path, row: Requirements, title: str) -> None:
    free_mb = shutil.disk_usage(folder).free // _MB
    if free_mb < row.installed_mb:
        raise EpochmarkError(
            f"{title} needs {_size(row.installed_mb)} on disk, and {folder} has "
            f"{_size(free_mb)} free.\n"
            "Free some space, or set EPOCHMARK_ENVIRONMENTS to a folder on another disk."
        )


def _finish(
    environments: Environments, building: Path, row: Requirements, name: str
) -> Environment:
    """Write the manifest and give the environment its name."""
    manifest = Manifest(
        name=name,
        requirements=tuple(row.pip),
        accelerators=row.accelerators,
        python=_version_of(building),
        created=dates.now(),
        epochmark_version=__version__,
        installed=_installed(building / "bin" / "python"),
        size_bytes=_size_bytes(building),
    )
    with (building / MANIFEST).open("wb") as stream:
        stream.write(encode_manifest(manifest))
        stream.flush()
        os.fsync(stream.fileno())
    final = environments.folder / name
    if final.exists():  # one whose base interpreter is gone, or whose manifest cannot be read
        environments.remove(name)
    building.rename(final)
    return Environment(final, manifest)


def _version_of(folder: Path) -> str:
    """The Python version that ``venv`` noted."""
    for line in (folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "version":
            return value.strip()
    return "unknown"


def _size_bytes(folder: Path) -> int:
    """Bytes on disk, links not followed."""
    total = 0
    for parent, _, files in os.walk(folder):
        for file in files:
            with contextlib.suppress(OSError):
                total += (Path(parent) / file).lstat().st_blocks * 512
    return total


def default_python() -> Path:
    """The interpreter environments are made with: our own."""
    return Path(sys.executable)
