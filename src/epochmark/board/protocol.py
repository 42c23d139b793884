"""What a sender and a board agree on: origins, what is signed, headers and bounds."""

from __future__ import annotations

from urllib.parse import urlsplit

from epochmark.errors import EpochmarkError

MAX_WIRE_BYTES = 1 << 20
"""Of a request's body as it is sent, which may be compressed."""
MAX_DOCUMENT_BYTES = 4 << 20
"""Of the record that comes out of it."""

KEY_HEADER = "Epochmark-Key"
"""The sender's public Ed25519 key, 64 hexadecimal digits."""
DAY_HEADER = "Epochmark-Day"
"""The day of the signature in UTC, ``2026-11-29``; a board takes its neighbours too."""
SIGNATURE_HEADER = "Epochmark-Signature"
"""128 hexadecimal digits: the signature of ``signed_text``."""

RESULTS_PATH = "/api/1/results"
LOG_PATH = "/api/1/log"
STANDING_PATH = "/api/1/standing"
KEY_PARTS = ("workload", "variant", "engine_family", "tuning", "precision")
"""Of the comparability key, as a query and an answer name them; a variant is a list with commas."""
LOCAL_PORT = 8321
LOCAL_BOARD = f"http://127.0.0.1:{LOCAL_PORT}"
"""Where ``epochmark board serve`` listens by default."""

_PORTS = {"http": 80, "https": 443}


def signed_text(action: str, origin: str, subject: str, day: str) -> bytes:
    """What a sender signs.

    ``action``: ``POST``, ``DELETE`` or ``WITNESS``. ``subject``: of what is sent the SHA-256
    (hexadecimal) of the body as it travels, of what is deleted or to be witnessed its id. The
    ``origin`` makes a signature worthless to another board, the ``day`` to whoever finds it later.
    """
    return "\n".join(("epochmark board 1", action, origin, subject, day)).encode()


def origin_of(url: str) -> str:
    """Scheme, host and port of a board's address, without the port where it is the usual one.

    Raises ``EpochmarkError`` (exit code 2) for what is no such address.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
        parts = urlsplit("")
    extra = parts.path.strip("/") or parts.query or parts.fragment or parts.username
    if parts.scheme not in _PORTS or not host or extra or not host.isascii():
        raise EpochmarkError(
            f"{url!r} is not the address of a board: it looks like https://board.example, or "
            f"{LOCAL_BOARD}",
            exit_code=2,
        )
    name = f"[{host}]" if ":" in host else host
    usual = port is None or port == _PORTS[parts.scheme]
    return f"{parts.scheme}://{name}" + ("" if usual else f":{port}")
