"""Our own copy of MNIST: a folder that appears whole or not at all, also with two runs at once."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from epochmark.datasets.mnist import Contents, SourceError, verify_folder
from epochmark.errors import EpochmarkError
from epochmark.folders import user_cache

_INCOMING = "incoming-mnist-"
_LOCK_WAIT_S = 60.0


def cache_folder() -> Path:
    """Where the four files are, or will be."""
    return user_cache(", or EPOCHMARK_DATA to a folder with MNIST") / "mnist"


def store(contents: Contents, folder: Path) -> Path:
    """Write verified contents as ``folder``, replacing a damaged one, and return ``folder``.

    Files are written and synced in a temporary folder beside it, which is then renamed. Where
    another run has stored good data by then, that stays: a folder that somebody may be reading is
    never moved. Raises ``EpochmarkError`` when the disk is full or read-only, without leaving
    anything behind.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.parent) as exclusive:
            if not _is_good(folder):
                _replace(folder, contents, remove_leftovers=exclusive)
    except OSError as error:
        raise EpochmarkError(
            f"MNIST was obtained and verified, but could not be kept in {folder.parent}: "
            f"{error.strerror or error}.\n"
            "Free some space (60 MB), or set XDG_CACHE_HOME to a writable folder, or "
            "set EPOCHMARK_DATA (or --data) to a folder that holds the four unpacked MNIST files, "
            "which is used in place."
        ) from error
    return folder


def _replace(folder: Path, contents: Contents, *, remove_leftovers: bool) -> None:
    if remove_leftovers:  # of a run that was killed; we hold the lock, so no run is writing
        for leftover in folder.parent.glob(f"{_INCOMING}*"):
            _remove(leftover)
    incoming = Path(tempfile.mkdtemp(prefix=_INCOMING, dir=folder.parent))
    try:
        whole = incoming / "whole"
        _write(whole, contents)
        if os.path.lexists(folder):
            folder.rename(incoming / "damaged")
        try:
            whole.rename(folder)
        except OSError:
            if not _is_good(folder):  # good if another run without locks was quicker
                raise
        _sync(folder.parent)
    finally:
        _remove(incoming)


def _write(folder: Path, contents: Contents) -> None:
    folder.mkdir()
    for name, content in contents.items():
        with (folder / name).open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
    _sync(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _is_good(folder: Path) -> bool:
    try:
        verify_folder(folder)
    except SourceError:
        return False
    return True


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Hold an advisory lock on ``folder`` itself; yields False where the file system has none.

    The kernel drops the lock when its holder dies. Some network file systems know no locks: the
    renames alone then leave one good folder, after more work.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield _acquire(descriptor)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int) -> bool:
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise OSError(
                    errno.EBUSY, f"another run has been writing there for {_LOCK_WAIT_S:g} s"
                ) from None
            time.sleep(0.05)
        except OSError as error:
            if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
                return False
            raise
        else:
            return True
