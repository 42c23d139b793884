"""Read a record: refuse what contradicts itself, derive every figure again from its raw data.

Whatever is kept can be read again: a record is decoded before it is believed to be one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from epochmark._version import __version__
from epochmark.analysis.timing.headline import headline_of, is_known, workload_of
from epochmark.errors import EpochmarkError
from epochmark.judge._checks.shape import shape_problems
from epochmark.judge.consistency import contradictions
from epochmark.judge.disturbances import DISTURBANCES, disturbances
from epochmark.records.digest import sealed
from epochmark.records.findings import FindingCode, make_finding
from epochmark.records.json_text import RecordError
from epochmark.records.record import SCHEMA_VERSION, DeviceRun, Failure, Learning, Record, Timing
from epochmark.records.upgrades import encode_record, upgraded_record
from epochmark.workloads._proof.replay_data import replay_versions

_NAME = re.compile(r"[a-z0-9-]{1,60}")
"""Of a workload, known here or not: it is shown, and becomes part of sentences."""
CHANGED = "it was changed after it was written"


@dataclass(frozen=True)
class Written:
    """A record as it was written, its figures derived again; ``other_rules`` names by which rules
    it was judged, if not by today's. ``intact``: its digest is that of its content."""

    record: Record
    other_rules: str | None
    intact: bool

    def judged_today(self) -> Record:
        """The record without what older rules found about its time and today's do not, which
        follow from its raw data alone. What they would add is for ``check`` to say."""
        return self.record if self.other_rules is None else _without_outdated(self.record)


def decode_record(document: bytes) -> Record:
    """A record from JSON of any schema we know. Raises ``RecordError``.

    The document is not trusted: it is bounded, every field is checked, and the headline is
    derived again from the raw laps. Findings about time of older rules must be found by today's.
    """
    return decode_as_written(document).judged_today()


def decode_as_written(document: bytes) -> Written:
    """The same with the findings that it was written with."""
    record, schema, intact = upgraded_record(document)
    _check_meaning(record)
    if not is_known(record.workload):
        record = _with_unknown_workload(record)
    rules = None
    if record.epochmark_version != __version__:
        rules = f"version {record.epochmark_version}"
    elif schema != SCHEMA_VERSION:
        rules = f"schema {schema}"
    return Written(msgspec.structs.replace(record, headline=headline_of(record)), rules, intact)


def decode_each(documents: Sequence[bytes]) -> Iterator[Record | RecordError]:
    """The record in each document, or why there is none. Of several, those that were changed after
    they were written are left out: whoever changed a bundle may have meant one of them."""
    for document in documents:
        try:
            written = decode_as_written(document)
        except RecordError as error:
            yield error
            continue
        changed = len(documents) > 1 and not written.intact
        yield RecordError(CHANGED) if changed else written.judged_today()


def _without_outdated(record: Record) -> Record:
    outdated = DISTURBANCES & {FindingCode(finding.code) for finding in record.findings}
    if not outdated:
        return record
    outdated -= {FindingCode(finding.code) for finding in disturbances(record)}
    findings = [finding for finding in record.findings if FindingCode(finding.code) not in outdated]
    if len(findings) == len(record.findings):
        return record
    intact = record.digest is not None and sealed(record).digest == record.digest
    record = msgspec.structs.replace(record, findings=findings)
    record = msgspec.structs.replace(record, headline=headline_of(record))
    return sealed(record) if intact else record


def _with_unknown_workload(record: Record) -> Record:
    """With the finding that says so, whatever else the record found."""
    code = FindingCode.WORKLOAD_UNKNOWN
    if any(finding.code == code.value for finding in record.findings):
        return record
    run = record.workload
    finding = make_finding(code, f"{run.name} version {run.version}")
    return msgspec.structs.replace(record, findings=[*record.findings, finding])


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
    optional = ("replay", "continuation", "calm", "limits", "sensors")
    bare = msgspec.structs.replace(record, **replaced, **dict.fromkeys(optional))
    precision = msgspec.structs.replace(bare.precision, observed=None)
    bare = msgspec.structs.replace(bare, precision=precision)
    return sealed(msgspec.structs.replace(bare, headline=headline_of(bare)))


def _check_meaning(record: Record) -> None:
    """What the types alone cannot say. A contradiction is no hindrance where the record says itself
    that there is one: it is invalid then."""
    if record.replay is not None and is_known(record.workload):
        versions = replay_versions(workload_of(record.workload))
        if record.replay.version not in versions:
            raise RecordError(
                f"it has version {record.replay.version} of the replay, this version of epochmark "
                f"reads up to {max(versions)}: upgrade epochmark to read it"
            )
    known = {code.value for code in FindingCode}
    codes = [finding.code for finding in record.findings]
    unknown = [code for code in codes if code not in known]
    if unknown:
        raise RecordError(f"it has an unknown finding, {unknown[0]!r}")
    if record.failure is not None and not codes:
        raise RecordError("it failed, but no finding says so")
    if not _NAME.fullmatch(record.workload.name):
        raise RecordError(f"it is of an unknown workload, {record.workload.name!r}")
    is_contradictory = FindingCode.CONTRADICTORY.value in codes
    for problem in (shape_problems if is_contradictory else contradictions)(record):
        raise RecordError(problem)
