"""Read files that are not trusted, and write files whole or not at all."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


class IrregularFileError(ValueError):
    """A file that might block whoever reads it, or never end."""


def read_regular(file: Path, most: int) -> bytes:
    """At most that many bytes of a regular file, also where a link leads to it. Raises
    ``IrregularFileError`` for a pipe, a device or a folder, and ``OSError``."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise IrregularFileError("it is not a regular file")
    with os.fdopen(descriptor, "rb") as stream:
        return stream.read(most)


def write_atomically(file: Path, content: bytes, mode: int = 0o600) -> None:
    """Replace ``file`` by one with this content, on disk before it gets its name.

    ``mode``: its permissions, less what the user's umask takes away.
    """
    with written_atomically(file, mode) as stream:
        stream.write(content)


@contextlib.contextmanager
def written_atomically(file: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """The same for what is written piece by piece: the file appears when the block has ended."""
    temporary = file.parent / f"{_beginning(file)}{secrets.token_hex(4)}"
    try:
        with open(temporary, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(file)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    with contextlib.suppress(OSError):  # not every file system can sync a folder
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_leftovers(file: Path, quiet_s: float) -> None:
    """Remove what processes that were killed while they wrote this file left beside it: temporary
    files of it that no one has written to for ``quiet_s`` seconds. Raises ``OSError``."""
    for left in file.parent.iterdir():
        end = left.name.removeprefix(_beginning(file))
        is_one = end != left.name and len(end) == 8 and not set(end) - set("0123456789abcdef")
        if is_one and left.stat().st_mtime < time.time() - quiet_s:
            left.unlink(missing_ok=True)


def _beginning(file: Path) -> str:
    """Of the names of a file's temporary files."""
    return f".{file.name[:40]}-"
