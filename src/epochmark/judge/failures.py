"""How a run failed, and whether what it did before that still says something."""

from __future__ import annotations

import itertools

from epochmark.analysis.timing.headline import expected_steps, steps_in
from epochmark.analysis.timing.intervals import MIN_INTERVAL_VALUES
from epochmark.engines import all_infos
from epochmark.judge.crashes import CRASHES
from epochmark.judge.departures import influences_text
from epochmark.records.fields import FailureKind
from epochmark.records.findings import FindingCode, make_finding
from epochmark.records.record import Failure, Finding, Record

_FAILURES: dict[FailureKind, FindingCode] = {
    "failed": FindingCode.ENGINE_FAILED,
    "crashed": FindingCode.WORKER_CRASHED,
    "killed": FindingCode.WORKER_KILLED,
    "hung": FindingCode.WORKER_HUNG,
    "interrupted": FindingCode.INTERRUPTED,
    "protocol-broken": FindingCode.PROTOCOL_BROKEN,
}

_NO_MEMORY = (
    "memoryerror", "out of memory", "failed to allocate", "can't allocate memory",
    "cannot allocate memory", "bad_alloc", "bad allocation",
)  # fmt: skip
"""Python and NumPy; drivers; allocators; C++. In lower case; frameworks have words of their own."""


def failure_finding(record: Record, failure: Failure) -> Finding:
    """What a failure is, with the words of what failed."""
    if failure.kind == "interrupted" and shows_something(record):
        made, all_steps = steps_in(record.timing.laps), expected_steps(record.workload)
        return make_finding(
            FindingCode.CUT_SHORT,
            f"while {failure.phase}: {failure.message}; {made:,} of {all_steps:,} steps were done",
        )
    code = FindingCode.OUT_OF_MEMORY if _lacked_memory(failure) else _code_of(failure)
    detail = f"while {failure.phase}: {failure.message}{influences_text(record)}"
    if code in (FindingCode.OUT_OF_MEMORY, FindingCode.WORKER_KILLED):
        detail += _memory_allowed(record)
    return make_finding(code, detail)


def shows_something(record: Record) -> bool:
    """Whether an epoch was done, or as many laps as an interval takes: enough for a figure."""
    return bool(record.learning.epochs) or len(record.timing.laps) >= MIN_INTERVAL_VALUES


def shows_lack_of_memory(text: str) -> bool:
    """Whether this is some framework's way to say that memory ran out."""
    lowered = text.lower()
    signs = itertools.chain(_NO_MEMORY, *(info.memory_errors for info in all_infos()))
    return any(sign in lowered for sign in signs)


def _memory_allowed(record: Record) -> str:
    """What a container leaves of the machine's memory, where it does not leave all."""
    allowed = record.machine.memory_limit_bytes
    if allowed is None or (record.device.resolved or record.device.requested) != "cpu":
        return ""
    return f" (the container may use {allowed / 2**20:,.0f} MiB of memory, page cache included)"


def _code_of(failure: Failure) -> FindingCode:
    """A worker is killed from outside; a signal of its own mistakes is a crash, although earlier
    versions called that killed."""
    if failure.kind == "killed" and failure.signal in CRASHES:
        return FindingCode.WORKER_CRASHED
    return _FAILURES[failure.kind]


def _lacked_memory(failure: Failure) -> bool:
    """Whether what an engine raised, or a crashed worker printed, says that memory ran out."""
    text = f"{failure.exception} {failure.message}"
    return failure.kind in ("failed", "crashed") and shows_lack_of_memory(text)
