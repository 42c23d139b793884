"""Temporary folders: where the user wants them, distinct from others', and gone in the end.

Each holds a marker file that its maker keeps locked. The lock goes with the process, however it
ends, so a folder whose marker is not locked was left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from epochmark.errors import EpochmarkError

PREFIX = "epochmark-"
MARKER = ".in-use-by-epochmark"
PROBED_BYTES = 4096
_VARIABLES = ("TMPDIR", "TEMP", "TMP")
"""In the order in which Python asks them."""


def temporary_root() -> Path:
    """Where temporary files go; a few bytes can be written there.

    Raises ``EpochmarkError``, with exit code 2 when a variable names a folder that cannot be used:
    another one would be one where other runs of this user are not seen.
    """
    named = next((name for name in _VARIABLES if os.environ.get(name)), None)
    try:
        root = Path(tempfile.gettempdir() if named is None else os.environ[named]).absolute()
        probe = tempfile.TemporaryFile(dir=root, buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        where = "on this machine" if named is None else f"in {os.environ[named]}, as {named} says"
        raise EpochmarkError(
            f"temporary files cannot be made {where}: {error.strerror or error}.\n"
            "Set TMPDIR to a writable folder.",
            exit_code=2,
        ) from error
    with telling_where(root), probe:
        probe.write(b"\0" * PROBED_BYTES)
    return root


@contextlib.contextmanager
def temporary_folder(purpose: str) -> Iterator[Path]:
    """A new folder of this process, removed at the end of the block.

    Raises ``EpochmarkError`` when it cannot be made.
    """
    root = temporary_root()
    with telling_where(root):
        folder, marker = _make(root, purpose)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(marker)


@contextlib.contextmanager
def telling_where(folder: Path) -> Iterator[None]:
    """What cannot be written into this temporary folder is an ``EpochmarkError`` that names it."""
    try:
        yield
    except OSError as error:
        raise EpochmarkError(
            f"temporary files cannot be written in {folder}: {error.strerror or error}.\n"
            "Free some space there, or set TMPDIR to another folder: a run needs 44 bytes for each "
            "parameter of its workload, 53 MB for mnist-cnn and 5.5 GB for gpt-124m."
        ) from error


def remove_leftovers() -> None:
    """Remove the folders that processes of this user have left behind when they were killed."""
    root = temporary_root()
    for folder in root.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), _locked_if_abandoned(folder) as abandoned:
            if abandoned:
                shutil.rmtree(folder, ignore_errors=True)


def _make(root: Path, purpose: str) -> tuple[Path, int]:
    """A new folder and its locked marker. One that was taken for a leftover before it was locked is
    made again."""
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{purpose}-", dir=root))
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        marker = os.open(folder / MARKER, flags, 0o600)
        with contextlib.suppress(OSError):  # not every file system has locks
            fcntl.flock(marker, fcntl.LOCK_EX)
        if os.fstat(marker).st_nlink:
            return folder, marker
        os.close(marker)


@contextlib.contextmanager
def _locked_if_abandoned(folder: Path) -> Iterator[bool]:
    """Whether it is one of our folders, and its maker has gone; no link is followed. Raises
    ``OSError`` for what is none of ours."""
    with contextlib.ExitStack() as opened:
        inside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        opened.callback(os.close, inside)
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        marker = os.open(MARKER, flags, dir_fd=inside)
        opened.callback(os.close, marker)
        fcntl.flock(marker, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield os.fstat(inside).st_uid == os.getuid()
