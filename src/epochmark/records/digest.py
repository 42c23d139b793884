"""A digest of a record's content: an edit that does not know of it is found by ``check``.

It proves that a record is as it was written, not who wrote it: anyone can compute it.
"""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from epochmark.records.json_text import retyped
from epochmark.records.record import Record


def digest_of(fields: dict[str, Any]) -> str:
    """SHA-256 (hexadecimal) of a record's JSON fields, of any schema, as canonical JSON: equal
    values have equal digests, whichever tool wrote their numbers.

    Left out are the digest itself, the headline (derived on every reading, by rules that may
    change) and the machine id, so that leaving it out of an export breaks nothing. So are fields
    that are null or false: a later version may add some, which an older record then has on reading.
    """
    return digest_as_written(retyped(fields, Record))


def is_intact(fields: dict[str, Any]) -> bool:
    """Whether a record's fields are those its digest was taken of. (Until November 2026 digests
    distinguished -0.0 from 0.0.)"""
    digest = fields.get("digest")
    return digest == digest_of(fields) or digest == digest_as_written(fields)


def digest_as_written(fields: dict[str, Any]) -> str:
    """The same of fields whose numbers have the types of a record already."""
    content = {name: fields[name] for name in fields if name not in ("digest", "headline")}
    machine = content.get("machine")
    if isinstance(machine, dict):
        content["machine"] = {name: machine[name] for name in machine if name != "machine_id"}
    return hashlib.sha256(msgspec.json.encode(_stated(content), order="sorted")).hexdigest()


_NESTED = (dict, list)
_PLAIN = frozenset((int, float, str))


def _stated(value: dict[str, Any] | list[Any]) -> Any:
    """The value without any field that is null or false."""
    # what holds nothing else stays as it is: a record has hundreds of laps
    if _PLAIN.issuperset(map(type, value.values() if isinstance(value, dict) else value)):
        return value
    if isinstance(value, list):
        return [_stated(each) if isinstance(each, _NESTED) else each for each in value]
    return {
        name: _stated(each) if isinstance(each, _NESTED) else each
        for name, each in value.items()
        if each is not None and each is not False
    }


def sealed(record: Record) -> Record:
    """The record with the digest of its content."""
    return msgspec.structs.replace(record, digest=digest_of(msgspec.to_builtins(record)))
