"""Who sends: one secret on this disk, and of it a key and an id of its own for each board.

Two boards cannot join what they got: neither keys nor ids nor digests are equal.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from epochmark.board.protocol import (
    DAY_HEADER,
    KEY_HEADER,
    SIGNATURE_HEADER,
    origin_of,
    signed_text,
)
from epochmark.errors import EpochmarkError
from epochmark.records.dates import now
from epochmark.records.digest import sealed
from epochmark.records.files import IrregularFileError, read_regular
from epochmark.records.record import Record

SECRET_BYTES = 32


@dataclass(frozen=True)
class Identity:
    """A sender as one board knows them."""

    origin: str
    secret: bytes

    def copy_of(self, record: Record, *, keep_label: bool = False) -> Record:
        """What leaves of a record: with an id and a machine id that only this board sees, without
        the label unless it is to be kept, and with a digest of its own."""
        machine = record.machine
        if machine.machine_id is not None:
            own = _digest(machine.machine_id.encode(), f"machine at {self.origin}").hex()[:32]
            machine = msgspec.structs.replace(machine, machine_id=own)
        return sealed(
            msgspec.structs.replace(
                record,
                id=self.id_of(record.id),
                machine=machine,
                label=record.label if keep_label else None,
            )
        )

    def id_of(self, record_id: str) -> str:
        """What a record of this machine is called on the board, the same every time."""
        return _digest(self.secret, f"run {record_id} at {self.origin}").hex()[:12]

    def headers(self, action: str, subject: str) -> dict[str, str]:
        """The signature of a request (``protocol.signed_text``)."""
        seed = _digest(self.secret, f"key at {self.origin}")
        key = Ed25519PrivateKey.from_private_bytes(seed)
        day = now()[:10]
        return {
            KEY_HEADER: key.public_key().public_bytes_raw().hex(),
            DAY_HEADER: day,
            SIGNATURE_HEADER: key.sign(signed_text(action, self.origin, subject, day)).hex(),
        }


def identity_for(url: str, folder: Path) -> Identity:
    """The user's identity for the board at this address; the first use makes the secret.

    Raises ``EpochmarkError`` for what is no address, and for a secret that cannot be used.
    """
    origin, file = origin_of(url), folder / "key"
    with _explained(file):
        _make(file)
    return Identity(origin, _secret(file))


def known_identity(url: str, folder: Path) -> Identity:
    """The same of who has a secret already: none is made. Raises ``EpochmarkError`` (exit code 2)
    where there is none."""
    origin, file = origin_of(url), folder / "key"
    with _explained(file):
        if not file.exists():
            raise EpochmarkError(
                f"there is no key in {folder}: nothing was sent from here", exit_code=2
            )
    return Identity(origin, _secret(file))


def _digest(key: bytes, text: str) -> bytes:
    return hmac.digest(key, f"epochmark {text}".encode(), hashlib.sha256)


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
