"""One measurement at a time: two runs at once would both measure the other."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

from epochmark.bench.process.temporary import remove_leftovers, telling_where, temporary_root
from epochmark.errors import EpochmarkError
from epochmark.system import wait_for_lock


@contextlib.contextmanager
def measuring_alone(on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold this user's lock while measuring; ``on_wait`` is called (once) with who holds it now.

    The lock goes with the process that holds it, however it ends. What such a process has left
    among the temporary files is removed.
    """
    file = _lock_file()
    descriptor = _open(file)
    try:
        with telling_where(file.parent):
            wait_for_lock(descriptor, on_wait)
        remove_leftovers()
        yield
    finally:
        os.close(descriptor)


def _open(file: Path) -> int:
    """The lock, made if need be; never what another user, or a link, has put in its place."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(file, flags, 0o600)
    except OSError as error:
        _refuse(file, error.strerror or str(error), error)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1 or found.st_uid != os.getuid():
        os.close(descriptor)
        _refuse(file, "it is not a private file of this user")
    return descriptor


def _refuse(file: Path, why: str, cause: OSError | None = None) -> NoReturn:
    raise EpochmarkError(
        f"the lock {file}, which keeps two runs from overlapping, cannot be opened: {why}.\n"
        "Set TMPDIR to a writable folder."
    ) from cause


def _lock_file() -> Path:
    """One per user and machine; not in the home folder, which machines may share."""
    return temporary_root() / f"epochmark-{os.getuid()}.lock"
