"""Send a record to a board, or have it erased there."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from typing import Any

import msgspec

from epochmark.board.client.identity import Identity
from epochmark.board.client.request import answer_to
from epochmark.board.protocol import MAX_DOCUMENT_BYTES, MAX_WIRE_BYTES, RESULTS_PATH
from epochmark.errors import EpochmarkError
from epochmark.records.json_text import to_json
from epochmark.records.record import Record

SHOWN_VALUES = 4
"""Of a list that is longer, as many and their number are shown."""


def send(identity: Identity, copy: Record) -> dict[str, Any]:
    """Send the copy of a record; what the board answers (``state``, ``reason``, ``url``,
    ``standing``). It can be repeated. Raises ``EpochmarkError`` where it is refused or lost."""
    document = to_json(copy)
    body = gzip.compress(document, mtime=0)
    if len(document) > MAX_DOCUMENT_BYTES or len(body) > MAX_WIRE_BYTES:
        raise EpochmarkError(
            f"the record has {len(document) / 2**20:.1f} MiB, {len(body) / 2**20:.1f} MiB packed; "
            f"a board takes {MAX_DOCUMENT_BYTES >> 20} MiB, {MAX_WIRE_BYTES >> 20} MiB packed"
        )
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    headers |= identity.headers("POST", hashlib.sha256(body).hexdigest())
    return answer_to("POST", f"{identity.origin}{RESULTS_PATH}", headers, body)


def erase(identity: Identity, record_id: str) -> None:
    """Have the copy of a record of this machine erased. It can be repeated. Raises
    ``EpochmarkError`` where it is refused or lost."""
    result_id = identity.id_of(record_id)
    headers = identity.headers("DELETE", result_id)
    answer_to("DELETE", f"{identity.origin}{RESULTS_PATH}/{result_id}", headers, None)


def fields_of(copy: Record) -> list[tuple[str, str]]:
    """Every field of a record that holds something, by its path, and what it holds; of laps and
    other long lists each field once, with its first values."""
    return [*_fields("", msgspec.to_builtins(copy))]


def _fields(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if value is None or value in ({}, []):
        return
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _fields(f"{path}.{name}" if path else name, part)
    elif isinstance(value, list) and isinstance(value[0], dict):
        for name in dict.fromkeys(name for part in value for name in part):
            yield from _fields(f"{path}[].{name}", [part.get(name) for part in value])
    else:
        yield path, _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, list):
        return str(value)
    shown = ", ".join(map(str, value[:SHOWN_VALUES]))
    return shown if len(value) <= SHOWN_VALUES else f"{shown}, ... ({len(value)} values)"
