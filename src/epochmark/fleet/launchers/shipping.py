"""Our own wheel, made of the installed package, for nodes that have none or another one."""

from __future__ import annotations

import re
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import epochmark
from epochmark.errors import EpochmarkError

NAME = "epochmark"
NOT_SHIPPED = ("INSTALLER", "REQUESTED", "RECORD", "direct_url.json")
"""What pip added when it installed the wheel, or writes itself."""


def wheel_in(folder: Path) -> Path:
    """The installed package as a wheel again, in this folder. Raises ``EpochmarkError`` (exit code
    2) where we run from somewhere else, such as a checkout, or where a file is missing."""
    found = _installed()
    try:
        return _packed(found, folder)
    except OSError as error:
        raise EpochmarkError(
            "--ship cannot pack the installed epochmark: "
            f"{error.filename or folder}: {error.strerror or error}\n"
            "Install it again: pip install --force-reinstall epochmark",
            exit_code=2,
        ) from error


def _packed(found: Distribution, folder: Path) -> Path:
    tag = re.search(r"^Tag: ([A-Za-z0-9_.-]{1,200})$", found.read_text("WHEEL") or "", re.MULTILINE)
    wheel = folder / f"{NAME}-{found.version}-{tag[1] if tag else 'py3-none-any'}.whl"
    record = []
    # a file dated before 1980, as reproducible builds make them, has no date in a zip file
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
        for file in found.files or []:
            is_own = file.parts[0] not in ("..", "/") and file.suffix != ".pyc"
            if is_own and file.name not in NOT_SHIPPED:
                packed.write(str(file.locate()), file.as_posix())
                digest = f"{file.hash.mode}={file.hash.value}" if file.hash else ""
                record.append(f"{file.as_posix()},{digest},{file.size or ''}\n")
        name = f"{NAME}-{found.version}.dist-info/RECORD"
        packed.writestr(name, "".join([*record, f"{name},,\n"]))
    return wheel


def _installed() -> Distribution:
    """The distribution that we run from."""
    running = Path(epochmark.__file__).resolve()
    try:
        found = distribution(NAME)
    except PackageNotFoundError:
        found = None
    files = [] if found is None else found.files or []
    if found is None or running not in [Path(str(file.locate())).resolve() for file in files]:
        raise EpochmarkError(
            f"--ship sends the installed epochmark, and this one runs from {running.parent}.\n"
            "Install it into this Python (in its checkout: pip install .) and start that one.",
            exit_code=2,
        )
    return found
