"""One measurement at a time: two runs at once would both measure the other."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from epochmark.errors import EpochmarkError


@contextlib.contextmanager
def measuring_alone(on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold this user's lock while measuring; ``on_wait`` is told (once) who holds it now.

    The lock goes with the process that holds it, however it ends.
    """
    file = _lock_file()
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(file, flags, 0o600)
    except OSError as error:
        raise EpochmarkError(
            f"the lock {file}, which keeps two runs apart, cannot be opened: {error.strerror}.\n"
            "Set TMPDIR to a folder that can be written."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            on_wait(holder if holder.isdigit() else "unknown")
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _lock_file() -> Path:
    """One per user and machine; not in the home folder, which machines may share."""
    return Path(tempfile.gettempdir()) / f"epochmark-{os.getuid()}.lock"
