"""Read records of every schema so far: one function per step, files never rewritten."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec

from epochmark.results.digest import digest_of
from epochmark.results.findings import FindingCode
from epochmark.results.headline import headline_of
from epochmark.results.quantities import QUANTITIES, implausible
from epochmark.results.record import SCHEMA_VERSION, Record, SensorLog
from epochmark.workloads import WORKLOADS
from epochmark.workloads.parity import REPLAYS

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


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: _from_1, 2: _from_2}
"""From schema N to N + 1, by N."""


class RecordError(Exception):
    """A document is not a record we can read; the message says why."""


def decode_record(document: bytes) -> Record:
    """A record from JSON of any schema we know. Raises ``RecordError``.

    The document is not trusted: it is bounded, every field is checked, and the headline is
    derived again from the raw laps.
    """
    if len(document) > MAX_RECORD_BYTES:
        raise RecordError(f"it is larger than {MAX_RECORD_BYTES >> 20} MiB")
    try:
        fields = msgspec.json.decode(document, type=dict[str, Any])
        fields = _upgraded(fields)
        record = msgspec.convert(fields, Record)
    except RecursionError as error:
        raise RecordError("it is nested too deeply") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RecordError(str(error)) from error
    _check_meaning(record)
    return msgspec.structs.replace(record, headline=headline_of(record))


def encode_record(record: Record) -> bytes:
    """The record as indented JSON, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"


def _upgraded(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields in the newest schema; the digest of what was intact is that of its new form, so
    that an export of an old record is still seen to be whole."""
    schema = fields.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        raise RecordError("it has no schema number, so it is no record of a run")
    if schema > SCHEMA_VERSION:
        raise RecordError(
            f"it has schema {schema}, this version of epochmark knows up to {SCHEMA_VERSION}: "
            "upgrade epochmark to read it"
        )
    if schema == SCHEMA_VERSION:
        return fields
    intact = fields.get("digest") == digest_of(fields)
    while schema < SCHEMA_VERSION:
        fields = UPGRADES[schema](fields)
        schema += 1
        fields["schema"] = schema
    if intact:
        fields["digest"] = digest_of(fields)
    return fields


def _check_meaning(record: Record) -> None:
    """What the types alone cannot say."""
    if record.workload.name not in WORKLOADS:
        raise RecordError(f"it is of an unknown workload, {record.workload.name!r}")
    if record.replay is not None and record.replay.version not in REPLAYS:
        raise RecordError(
            f"it has version {record.replay.version} of the replay, this version of epochmark "
            f"knows up to {max(REPLAYS)}: upgrade epochmark to read it"
        )
    known = {code.value for code in FindingCode}
    unknown = [finding.code for finding in record.findings if finding.code not in known]
    if unknown:
        raise RecordError(f"it has an unknown finding, {unknown[0]!r}")
    ends = [lap.end_ns for lap in record.timing.laps]
    epochs = [lap.epoch for lap in record.timing.laps]
    if epochs != sorted(epochs) or any(b <= a for a, b in zip([0, *ends], ends, strict=False)):
        raise RecordError("its laps do not follow one another in time")
    _check_sensors(record.sensors or [])
    if (record.outcome == "failed") != (record.failure is not None):
        raise RecordError("its outcome and its failure contradict each other")
    if record.failure is not None and not record.findings:
        raise RecordError("it failed, and no finding says so")


def _check_sensors(logs: list[SensorLog]) -> None:
    for log in logs:
        if any(later <= at for at, later in pairwise(log.at_s)):
            raise RecordError(f"the readings of sensor {log.sensor!r} do not follow one another")
        for column in log.columns:
            if len(column.values) != len(log.at_s):
                raise RecordError(f"sensor {log.sensor!r} has columns of different lengths")
            if column.unit != QUANTITIES[column.quantity].unit:
                raise RecordError(f"sensor {log.sensor!r} gives {column.quantity} in another unit")
            if implausible(column.quantity, log.at_s, column.values) is not None:
                raise RecordError(f"sensor {log.sensor!r} has a {column.quantity} that cannot be")
