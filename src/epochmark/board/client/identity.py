"""Who sends: one secret on this disk, and of it a key and an id of its own for each board.

Two boards cannot join what they got: neither keys nor ids nor digests are equal.
"""

from __future__ import annotations

import hashlib
import hmac
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
from epochmark.board.secret_file import known_secret, own_secret
from epochmark.errors import EpochmarkError
from epochmark.records.dates import now
from epochmark.records.digest import sealed
from epochmark.records.record import Record


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
    return Identity(origin_of(url), own_secret(folder / "key"))


def known_identity(url: str, folder: Path) -> Identity:
    """The same of who has a secret already: none is made. Raises ``EpochmarkError`` (exit code 2)
    where there is none."""
    origin, secret = origin_of(url), known_secret(folder / "key")
    if secret is None:
        raise EpochmarkError(
            f"there is no key in {folder}: nothing was sent from here", exit_code=2
        )
    return Identity(origin, secret)


def _digest(key: bytes, text: str) -> bytes:
    return hmac.digest(key, f"epochmark {text}".encode(), hashlib.sha256)
