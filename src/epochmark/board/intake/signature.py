"""Who sent it: an Ed25519 signature over the board, the content and the day, checked before any of
the content is looked at."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from epochmark.board.intake.refusal import RefusedError
from epochmark.board.protocol import DAY_HEADER, KEY_HEADER, SIGNATURE_HEADER, signed_text
from epochmark.records.dates import now

_FORMS = {
    KEY_HEADER: re.compile(r"[0-9a-f]{64}"),
    DAY_HEADER: re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    SIGNATURE_HEADER: re.compile(r"[0-9a-f]{128}"),
}
DAYS_APART = 1
"""Clocks and time zones may be wrong by that much."""


def sender_of(headers: Mapping[str, str], action: str, origin: str, subject: str) -> str:
    """The public key (hexadecimal) that signed this action on this subject for this board.

    Raises ``RefusedError`` (401) where none did.
    """
    for name, form in _FORMS.items():
        if not form.fullmatch(headers.get(name, "")):
            raise RefusedError(
                401,
                f"the request is not signed: its header {name} is missing or has another form "
                "('epochmark share' signs it)",
            )
    key, day, signature = (headers[name] for name in _FORMS)
    _check_day(day)
    try:
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(bytes.fromhex(signature), signed_text(action, origin, subject, day))
    except (InvalidSignature, ValueError) as error:
        raise RefusedError(
            401,
            f"the signature is not of this request to {origin}: another board, other content or "
            "another key was signed for",
        ) from error
    return key


def _check_day(day: str) -> None:
    today = now()[:10]
    try:
        apart = abs((date.fromisoformat(today) - date.fromisoformat(day)).days)
    except ValueError as error:
        raise RefusedError(401, f"the request was signed on {day}, which is no day") from error
    if apart > DAYS_APART:
        raise RefusedError(
            401, f"the request was signed on {day}, and today is {today}: is your clock right?"
        )
