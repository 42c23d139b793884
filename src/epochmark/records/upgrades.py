"""Read records of every schema so far: one function per step, files never rewritten."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from epochmark.records.digest import digest_as_written, digest_of, is_intact
from epochmark.records.json_text import RecordError, parsed, retyped, to_json
from epochmark.records.record import SCHEMA_VERSION, Record

MAX_RECORD_BYTES = 16 << 20
"""A full run in quarter-second laps for an hour takes about 1 MiB."""


def _from_1(fields: dict[str, Any]) -> dict[str, Any]:
    """Schema 2 names the version of the replay, of which there was one, and adds fields that may
    be absent."""
    replay = fields.get("replay")
    if isinstance(replay, dict):
        fields = {**fields, "replay": {**replay, "version": 1}}
    return fields


def _from_2(fields: dict[str, Any]) -> dict[str, Any]:
    """Schema 3 adds the continuation, which older records are not to be blamed for lacking, and
    other fields that may be absent."""
    return {**fields, "before_continuation": True}


def _from_3(fields: dict[str, Any]) -> dict[str, Any]:
    """Schema 4 adds fields to the limits that may be absent; its time is judged by other rules."""
    return {**fields}


def _from_4(fields: dict[str, Any]) -> dict[str, Any]:
    """Schema 5 adds fields that may be absent: losses of a replay with plain SGD."""
    return {**fields}


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {
    1: _from_1, 2: _from_2, 3: _from_3, 4: _from_4,
}  # fmt: skip
"""From schema N to N + 1, by N."""


class Upgraded(NamedTuple):
    """A record, the ``schema`` it was written in, and whether its digest is that of its content."""

    record: Record
    schema: int
    intact: bool


def upgraded_record(document: bytes) -> Upgraded:
    """A record from JSON of any schema we know. Raises ``RecordError``.

    The document is not trusted: it is bounded, and every field is held to its type. What it means
    is not looked at: ``judge.reading`` does that.
    """
    if len(document) > MAX_RECORD_BYTES:
        raise RecordError(f"it is larger than {MAX_RECORD_BYTES >> 20} MiB")
    fields = parsed(document)
    if not isinstance(fields, dict):
        raise RecordError("it is not a JSON object, so it is not a record of a run")
    try:
        record = _as_written_today(fields)
        if record is not None:
            return Upgraded(record, SCHEMA_VERSION, True)
        newest, intact = _newest_form(fields)
        return Upgraded(msgspec.convert(newest, Record), int(fields["schema"]), intact)
    except RecursionError as error:
        raise RecordError("it is nested too deeply") from error
    except msgspec.ValidationError as error:
        raise RecordError(str(error)) from error


def _as_written_today(fields: dict[str, Any]) -> Record | None:
    """The record of fields that are intact and need no upgrade, as those of most records: found
    without looking at each number. None: it has to be looked at."""
    if fields.get("schema") != SCHEMA_VERSION or _reworded(fields) is not fields:
        return None
    try:
        record = msgspec.convert(fields, Record)
    except msgspec.ValidationError:
        return None
    digest = digest_as_written(msgspec.to_builtins(record))
    return record if record.digest == digest else None


def encode_record(record: Record) -> bytes:
    """The record as indented JSON, ending in a newline."""
    return to_json(record, indent=1) + b"\n"


_REWORDED = {"1 epochs": "1 epoch", "1 steps": "1 step"}
"""Variants as they were called until November 2026."""


def _reworded(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields, with variants as they are called now."""
    run = fields.get("workload")
    if not isinstance(run, dict) or not isinstance(run.get("variant"), list):
        return fields
    variant = [
        _REWORDED.get(part, part) if isinstance(part, str) else part for part in run["variant"]
    ]
    if variant == run["variant"]:
        return fields
    return {**fields, "workload": {**run, "variant": variant}}


def newest_form(fields: dict[str, Any]) -> dict[str, Any]:
    """A record's fields in the newest schema; the digest of what was intact is that of its new
    form, so that an export of an old record is still seen to be whole."""
    return _newest_form(fields)[0]


def _newest_form(fields: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """The same, and whether they were intact."""
    typed = retyped(fields, Record)
    digest = digest_as_written(typed)
    intact = fields.get("digest") == digest or is_intact(fields)
    newest = _reworded(_upgraded(typed))
    if not intact:
        return newest, False
    return {**newest, "digest": digest if newest is typed else digest_of(newest)}, True


def _upgraded(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields in the newest schema."""
    schema = fields.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise RecordError("it has no schema number, so it is not a record of a run")
    if schema > SCHEMA_VERSION:
        raise RecordError(
            f"it has schema {schema}, this version of epochmark reads up to {SCHEMA_VERSION}: "
            "upgrade epochmark to read it"
        )
    while schema < SCHEMA_VERSION:
        fields = UPGRADES[schema](fields)
        schema += 1
        fields["schema"] = schema
    return fields
