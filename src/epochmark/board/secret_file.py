"""A secret in a file that no one else may read: a sender's, and a board's own."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

from epochmark.errors import EpochmarkError
from epochmark.records.files import IrregularFileError, read_regular

SECRET_BYTES = 32


def own_secret(file: Path) -> bytes:
    """The secret in this file; the first use makes it. Raises ``EpochmarkError`` for one that
    cannot be used."""
    with _explained(file):
        _make(file)
    return _secret(file)


def known_secret(file: Path) -> bytes | None:
    """The same of a file that is there, else None."""
    with _explained(file):
        if not file.exists():
            return None
    return _secret(file)


def _secret(file: Path) -> bytes:
    """The secret in this file, which no one else may read."""
    with _explained(file):
        if stat.S_IMODE(file.stat().st_mode) & 0o077:
            raise EpochmarkError(f"others can read your key: chmod 600 {file}")
        secret = bytes.fromhex(read_regular(file, 1 << 10).decode("ascii"))
        if len(secret) != SECRET_BYTES:
            raise ValueError("its length")
    return secret


@contextlib.contextmanager
def _explained(file: Path) -> Iterator[None]:
    """What goes wrong with the file of a secret, as ``EpochmarkError``."""
    try:
        yield
    except (ValueError, IrregularFileError) as error:
        raise EpochmarkError(f"{file} holds no key; move it away to have a new one made") from error
    except OSError as error:
        raise EpochmarkError(f"the key {file} cannot be used: {error.strerror}") from error


def _make(file: Path) -> None:
    """Write a new secret where there is none; the file has its name only once it is whole."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.parent / f".key-{os.urandom(4).hex()}"
    try:
        with open(temporary, "x", opener=lambda name, flags: os.open(name, flags, 0o600)) as stream:
            stream.write(secrets.token_hex(SECRET_BYTES) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):  # another first use was faster
            os.link(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
