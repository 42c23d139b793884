"""Whether the columns and texts of a record can be read at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain, pairwise
from typing import Any

import msgspec

from epochmark.records.quantities import QUANTITIES, implausible
from epochmark.records.record import Calm, Record, SensorLog


def shape_problems(record: Record) -> Iterator[str]:
    """What keeps anyone from reading the columns of a record at all."""
    dates = [record.created, *([record.limits.measured] if record.limits else [])]
    yield from (f"there is no such date: {date}" for date in dates if not _is_date(date))
    ends = [lap.end_ns for lap in record.timing.laps]
    epochs = [lap.epoch for lap in record.timing.laps]
    if epochs != sorted(epochs) or not _increase([0, *ends]):
        yield "its laps are not in time order"
    for log in record.sensors or []:
        yield from _sensor(log)
    if record.calm is not None:
        yield from _columns(record.calm)
    if (record.outcome == "failed") != (record.failure is not None):
        yield "its outcome and its failure contradict each other"


def _is_date(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _increase(values: Sequence[float]) -> bool:
    return all(earlier < later for earlier, later in pairwise(values))


def _sensor(log: SensorLog) -> Iterator[str]:
    if not _increase(log.at_s) or min(log.at_s, default=0.0) < 0:
        yield f"the readings of sensor {log.sensor!r} are not in time order"
    for column in log.columns:
        if len(column.values) != len(log.at_s):
            yield f"sensor {log.sensor!r} has columns of different lengths"
        elif column.unit != QUANTITIES[column.quantity].unit:
            yield f"sensor {log.sensor!r} gives {column.quantity} in another unit"
        elif implausible(column.quantity, log.at_s, column.values) is not None:
            yield f"sensor {log.sensor!r} has an impossible {column.quantity}"


def _columns(calm: Calm) -> Iterator[str]:
    columns = [
        calm.foreign_cpu_s, calm.own_cpu_s, calm.idle_cpu_s, calm.steal_cpu_s, calm.memory_stall_s,
        calm.swap_in_bytes, calm.quota_throttled_s, calm.suspended_s, calm.runnable,
    ]  # fmt: skip
    if any(column is not None and len(column) != len(calm.end_s) for column in columns):
        yield "the columns of calm have different lengths"
    if not _increase([0.0, *calm.end_s]):
        yield "the samples of calm are not in time order"


def unprintable_text(document: Any) -> Iterator[str]:
    """Text in it is shown to people: ``check`` names what readers leave out."""
    for text in _texts(msgspec.to_builtins(document)):
        if not text.isprintable():
            yield f"it has text that cannot be printed: {ascii(text)[:60]}"
            return


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from chain(value, *(map(_texts, value.values())))
    elif isinstance(value, list):
        yield from chain.from_iterable(map(_texts, value))
