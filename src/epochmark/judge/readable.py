"""Whatever is kept can be read again: a record is decoded before it is believed to be one."""

from __future__ import annotations

from typing import Any

import msgspec

from epochmark.analysis.timing.headline import headline_of
from epochmark.errors import EpochmarkError
from epochmark.records.digest import sealed
from epochmark.records.findings import FindingCode, make_finding
from epochmark.records.json_text import RecordError
from epochmark.records.record import DeviceRun, Failure, Learning, Record, Timing
from epochmark.records.upgrades import decode_record, encode_record


def readable(record: Record) -> Record:
    """The record itself if it can be read again, else that of the failure to make one.

    Raises ``EpochmarkError`` when not even that could be: then it is not the worker's fault.
    """
    problem = _problem(record)
    if problem is None:
        return record
    failed = _failure_instead(record, problem)
    problem = _problem(failed)
    if problem is not None:
        raise EpochmarkError(f"no record can be made of this run: {problem}")
    return failed


def _problem(record: Record) -> str | None:
    """Why the record could not be read again."""
    try:
        decode_record(encode_record(record))
    except (RecordError, UnicodeEncodeError, msgspec.MsgspecError, OverflowError) as error:
        return str(error)
    return None


def _failure_instead(record: Record, problem: str) -> Record:
    """What was asked for, on which machine, and that it failed."""
    detail = f"what was reported makes no record: {problem}"[:1500]
    failure = Failure(
        kind="protocol-broken",
        phase="checking",
        exception=None,
        message=detail,
        exit_status=None,
        signal=None,
    )
    engine = msgspec.structs.replace(record.engine, versions={}, settings={}, python="unknown")
    replaced: dict[str, Any] = {
        "outcome": "failed",
        "failure": failure,
        "findings": [make_finding(FindingCode.PROTOCOL_BROKEN, f"while checking: {detail}")],
        "device": DeviceRun(
            requested=record.device.requested,
            resolved=None,
            resolved_description=None,
            observed=[],
        ),
        "engine": engine,
        "timing": Timing(startup_s=None, fit_ns=None, laps=[]),
        "learning": Learning(epochs=[], test_loss=None, test_accuracy=None),
        "peak_memory_bytes": None,
        "label": None,
        "environment": {},
    }
    optional = ("replay", "calm", "limits", "sensors")
    bare = msgspec.structs.replace(record, **replaced, **dict.fromkeys(optional))
    precision = msgspec.structs.replace(bare.precision, observed=None)
    bare = msgspec.structs.replace(bare, precision=precision)
    return sealed(msgspec.structs.replace(bare, headline=headline_of(bare)))
