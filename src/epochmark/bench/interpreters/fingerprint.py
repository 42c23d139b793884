"""What an engine's devices depend on, as one number each: its environment, and the drivers here."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import epochmark.engines
from epochmark._version import __version__
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.bench.interpreters.packages import entries_of, package_folders
from epochmark.engines import EngineInfo
from epochmark.hardware.gpus.bus import cards

_INDIFFERENT = (
    "HOME", "LANG", "LC_ALL", "LC_CTYPE", "PATH", "TMPDIR", "TZ", "XDG_CACHE_HOME",
)  # fmt: skip
"""Variables of a worker's environment that differ from shell to shell and choose no device."""

_DRIVER_FILES = (
    "proc/driver/nvidia/version",
    "sys/module/*/version",
    "opt/rocm/.info/version",
    "etc/OpenCL/vendors/*.icd",
)
"""Files of drivers whose content counts."""

_DRIVER_LIBRARIES = (
    "usr/lib/wsl/lib/libcuda.so*",
    "usr/lib/*/libcuda.so*",
    "usr/lib64/libcuda.so*",
    "usr/lib/libcuda.so*",
    "usr/local/nvidia/lib64/libcuda.so*",
    "opt/rocm/lib/libamdhip64.so*",
    "opt/rocm/lib/libhsa-runtime64.so*",
)

_DEVICES = (
    "dev/nvidia*", "dev/kfd", "dev/dri/*", "dev/dxg", "dev/accel*", "dev/accel/*", "dev/vfio/*",
)  # fmt: skip
"""Device files, of which their rights count, too."""

_MOST_BYTES = 4096

_OUR_ENGINES = Path(epochmark.engines.__file__).parent


def environment_fingerprint(info: EngineInfo, interpreter: Interpreter) -> str:
    """Changes whenever another answer of the engine may be expected: files and versions of its
    interpreter and packages, variables that it is given, and this version of epochmark.

    Of a package its metadata and first file count: what is changed deep inside of one, by hand, is
    not seen.
    """
    facts = [__version__, info.name, platform.platform(), str(os.geteuid())]
    facts += _state(interpreter.python)
    for folder in (_OUR_ENGINES, *package_folders(interpreter)):
        facts += sorted(fact for entry in entries_of(folder) for fact in _package(Path(entry.path)))
    facts += sorted(
        f"{name}={value}"
        for name, value in interpreter.environment.items()
        if name not in _INDIFFERENT
    )
    facts += [f"{need.name}: {shutil.which(need.name)}" for row in info.requirements
              for need in row.needs if need.kind == "command"]  # fmt: skip
    return _digest(facts)


def drivers_fingerprint(root: Path = Path("/")) -> str:
    """Changes with the cards on the bus, the drivers' files, libraries and devices, and our rights.

    ``root`` is where the system's folders lie.
    """
    facts = [repr(card) for card in cards(root)]
    facts += [f"{file}: {_content(file)}" for file in _found(_DRIVER_FILES, root)]
    facts += [fact for file in _found(_DRIVER_LIBRARIES, root) for fact in _state(file)]
    facts += [
        f"{device}: {os.access(device, os.R_OK | os.W_OK)}" for device in _found(_DEVICES, root)
    ]
    return _digest(facts)


def _found(patterns: Iterable[str], root: Path) -> Iterator[Path]:
    for pattern in patterns:
        yield from sorted(root.glob(pattern))


def _package(entry: Path) -> list[str]:
    """A file, a folder of metadata, or a package by its first file: its folder changes when Python
    compiles it."""
    if entry.name == "__pycache__":
        return []
    if entry.suffix in (".dist-info", ".egg-info") or not entry.is_dir():
        return _state(entry)
    return [str(entry), *_state(entry / "__init__.py")]


def _state(file: Path) -> list[str]:
    """Name, what a link leads to, size and time of change; nothing of what is not there."""
    try:
        status = file.stat()
    except OSError:
        return []
    return [f"{file}: {os.path.realpath(file)} {status.st_size} {status.st_mtime_ns}"]


def _content(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return stream.read(_MOST_BYTES).hex()
    except OSError:
        return ""


def _digest(facts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(facts).encode("utf-8", "surrogateescape")).hexdigest()
