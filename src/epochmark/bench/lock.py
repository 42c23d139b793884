"""One measurement at a time: two runs at once would both measure the other."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from epochmark.errors import EpochmarkError


@contextlib.contextmanager
def measuring_alone(on_wait: Callable[[str], None]) -> Iterator[None]:
    """Hold this user's lock while measuring; ``on_wait`` is told (once) who holds it now.

    The lock goes with the process that holds it, however it ends.
    """
    file = _lock_file()
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise EpochmarkError(
            f"the lock {file}, which keeps two runs apart, cannot be opened: {error.strerror}.\n"
            "Set XDG_RUNTIME_DIR to a folder that can be written."
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
    import platformdirs

    folder = platformdirs.user_runtime_path("epochmark")
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / "measuring.lock"
