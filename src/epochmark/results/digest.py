"""A digest of a record's content: an edit that does not know of it is found by ``check``.

It proves that a record is as it was written, not who wrote it: anyone can compute it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from epochmark.results.record import Record


def digest_of(fields: dict[str, Any]) -> str:
    """SHA-256 (hexadecimal) of a record's JSON fields, of any schema, as canonical JSON.

    Left out are the digest itself, the headline (derived on every reading, by rules that may
    change) and the machine id, so that leaving it out of an export breaks nothing.
    """
    content = {name: fields[name] for name in fields if name not in ("digest", "headline")}
    machine = content.get("machine")
    if isinstance(machine, dict):
        content["machine"] = {name: machine[name] for name in machine if name != "machine_id"}
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()


def sealed(record: Record) -> Record:
    """The record with the digest of its content."""
    return msgspec.structs.replace(record, digest=digest_of(msgspec.to_builtins(record)))
