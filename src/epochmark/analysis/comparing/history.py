"""One machine over time: each way to train as a series of its runs, and what each run changed.

A run is compared with the valid run before it in its series, no more: there is no search for change
points. Runs that are not valid are shown and decide nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from epochmark.analysis.comparing.comparability import key_of
from epochmark.analysis.comparing.comparison import (
    Difference,
    compare,
    differences_between,
    side_of_record,
)
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.dates import age_order
from epochmark.records.record import Record

Verdict = Literal["faster", "slower", "alike"]


class Setup(NamedTuple):
    """What is equal for all runs of a series."""

    workload: str
    engine: str
    device: str
    tuning: str
    precision: str
    variant: tuple[str, ...]

    def __str__(self) -> str:
        """``mnist-cnn v1: torch on cpu, tuned, bfloat16``."""
        settings = ", ".join((self.tuning, self.precision, *self.variant))
        return f"{self.workload}: {self.engine} on {self.device}, {settings}"


@dataclass(frozen=True)
class Change:
    """A run beside the valid run before it, ``before``.

    ``times_as_fast`` is the speed of the run over that of the earlier one. ``differences`` are what
    else the two records say differently, and may be the cause.
    """

    before: Record
    times_as_fast: Interval
    verdict: Verdict
    differences: tuple[Difference, ...]


@dataclass(frozen=True)
class Entry:
    """One run of a series; ``change`` is None for the first valid run and for all that are not."""

    record: Record
    change: Change | None

    @property
    def decides(self) -> bool:
        """Whether the run is one that others are compared with."""
        return self.record.headline.validity == "valid"


@dataclass(frozen=True)
class Series:
    """All runs of one way to train that have a steady epoch, oldest first."""

    setup: Setup
    entries: tuple[Entry, ...]


def history(records: Iterable[Record]) -> list[Series]:
    """The series in these records of one machine, in the order of their names."""
    setups: dict[Setup, list[Record]] = {}
    for record in sorted(records, key=age_order):
        if record.headline.steady_epoch_s is not None and record.headline.validity != "invalid":
            setups.setdefault(_setup_of(record), []).append(record)
    return [Series(setup, tuple(_entries(setups[setup]))) for setup in sorted(setups)]


def _setup_of(record: Record) -> Setup:
    key = key_of(record)
    return Setup(
        workload=key.workload,
        engine=record.engine.name,
        device=record.device.resolved or record.device.requested,
        tuning=key.tuning,
        precision=key.precision,
        variant=key.variant,
    )


def _entries(records: Sequence[Record]) -> Iterable[Entry]:
    before: Record | None = None
    for record in records:
        if record.headline.validity != "valid":
            yield Entry(record, None)
            continue
        yield Entry(record, None if before is None else _change(before, record))
        before = record


def _change(before: Record, after: Record) -> Change | None:
    """None where the two cannot be compared: one of them has too few values for an interval."""
    earlier, later = side_of_record(before, "earlier"), side_of_record(after, "later")
    comparison = compare(earlier, later)
    times_as_fast = comparison.speed_of(later)
    if times_as_fast is None:
        return None
    verdict: Verdict = "alike"
    if comparison.verdict == "faster":
        verdict = "faster" if comparison.faster is later else "slower"
    return Change(before, times_as_fast, verdict, tuple(differences_between(earlier, later)))
