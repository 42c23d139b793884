"""Where a run trained: requested, resolved and observed."""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.analysis.machine.sensed import use_of_gpu
from epochmark.records.findings import FindingCode, make_finding
from epochmark.records.record import Finding, Record

IDLE_READINGS = 10
"""Readings of a GPU's use, a second apart, after which nothing but zeros is no coincidence."""


def same_device(record: Record) -> Iterator[Finding]:
    """Requested, resolved and observed must be one and the same place."""
    device = record.device
    kind = (device.resolved or "").split(":")[0]
    if device.requested not in (device.resolved, kind):
        yield make_finding(
            FindingCode.DEVICE_MISMATCH,
            f"{device.requested} was requested, but the engine opened {device.resolved}",
        )
    elif _was_observed(record) and set(device.observed) != {device.resolved}:
        seen = ", ".join(sorted(set(device.observed))) or "nowhere"
        yield make_finding(
            FindingCode.DEVICE_MISMATCH,
            f"the engine opened {device.resolved}, but the tensors were on {seen}",
        )
    elif kind == "gpu" and _stood_idle(record):
        yield make_finding(
            FindingCode.DEVICE_MISMATCH,
            f"the engine says that {device.resolved_description} trained, its driver saw it idle "
            "all the time",
        )


def _was_observed(record: Record) -> bool:
    """Where its tensors are is looked at after the fit, which an interrupted run may not reach."""
    return record.failure is None or bool(record.device.observed)


def _stood_idle(record: Record) -> bool:
    """Whether every reading of every GPU of that name found it idle, and there are enough of them:
    the driver averages over a sixth of a second at least, in which some kernel runs."""
    seen = use_of_gpu(record)
    return (
        bool(seen)
        and min(len(series.values) for series in seen) >= IDLE_READINGS
        and not any(max(series.values) for series in seen)
    )
