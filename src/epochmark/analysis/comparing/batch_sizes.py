"""Batch sweeps, recognised from the records alone, and from where on another device is faster.

A sweep is runs of one engine, with the same versions, on one device of one machine that differ in
nothing but their batch size. The rules are explained in docs/measurement/comparing.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from epochmark.analysis.comparing.comparability import ComparabilityKey, key_of
from epochmark.analysis.comparing.comparison import ratio_interval, tells_apart
from epochmark.analysis.timing.headline import steady_of, steps_per_epoch, workload_of
from epochmark.analysis.timing.intervals import MIN_INTERVAL_VALUES, Interval
from epochmark.records.machine.identity import machine_identity
from epochmark.records.record import Record

CPU = "cpu"
MOST_EPOCHS = 1e9
"""More is never: no training lasts that long."""


@dataclass(frozen=True)
class BatchPoint:
    """One batch size of a sweep. ``steady_epoch``: seconds with a 95 % interval; ``fixed_s``: what
    a run takes beyond its epochs at steady speed, start-up and compilation included; None where the
    run does not say."""

    record: Record
    steady_epoch: Interval
    fixed_s: float | None

    @property
    def batch_size(self) -> int:
        """Samples a step."""
        return self.record.workload.batch_size

    @property
    def is_valid(self) -> bool:
        """Whether the run is neither disturbed nor wrong."""
        return self.record.headline.validity == "valid"

    @property
    def is_comparable(self) -> bool:
        """Whether it is valid, with enough values for an interval."""
        return self.is_valid and self.steady_epoch.count >= MIN_INTERVAL_VALUES

    @property
    def step_ms(self) -> float:
        """Milliseconds that a step takes, epoch ends spread over all steps."""
        return 1e3 * self.steady_epoch.median / steps_per_epoch(self.record.workload)

    @property
    def targets_per_s(self) -> Interval:
        """Training images, or tokens, a second; the slow end of the epoch's interval is the low end
        of this."""
        workload, steady = workload_of(self.record.workload), self.steady_epoch
        targets = workload.train_samples * workload.targets_per_sample
        return Interval(
            targets / steady.median, targets / steady.high, targets / steady.low, steady.count
        )


class _Setup(NamedTuple):
    """What all runs of a sweep have in common; ``key`` is without the batch size."""

    machine: tuple[object, ...]
    engine: str
    versions: tuple[tuple[str, str], ...]
    key: ComparabilityKey


@dataclass(frozen=True)
class BatchSweep:
    """Points by ascending batch size, at least two; ``device`` is the resolved one."""

    setup: _Setup
    device: str
    points: tuple[BatchPoint, ...]

    @property
    def engine(self) -> str:
        """The engine's name."""
        return self.setup.engine

    @property
    def key(self) -> ComparabilityKey:
        """The comparability key of all its runs but for the batch size."""
        return self.setup.key


def batch_sweeps(records: Sequence[Record]) -> list[BatchSweep]:
    """All sweeps among these records (oldest first), by engine and device.

    Of several runs at one batch size the newest valid one counts, else the newest disturbed one.
    """
    setups: dict[tuple[_Setup, str], dict[int, BatchPoint]] = {}
    for record in records:
        point = _point_of(record)
        if point is None:
            continue
        points = setups.setdefault((_setup_of(record), _device_of(record)), {})
        before = points.get(point.batch_size)
        if before is None or point.is_valid >= before.is_valid:
            points[point.batch_size] = point
    sweeps = [
        BatchSweep(setup, device, tuple(points[size] for size in sorted(points)))
        for (setup, device), points in setups.items()
        if len(points) > 1
    ]
    return sorted(sweeps, key=lambda sweep: (sweep.engine, str(sweep.key), sweep.device))


def sweep_around(record: Record, records: Sequence[Record]) -> BatchSweep | None:
    """The sweep that speaks about a run: of its engine, versions and device, under its key but for
    batch, epochs and being quick, which hardly change the speed of a step. The longest one."""
    setup = _without_length(_setup_of(record))
    found = [
        sweep
        for sweep in batch_sweeps(records)
        if (_without_length(sweep.setup), sweep.device) == (setup, _device_of(record))
    ]
    return max(found, key=lambda sweep: len(sweep.points), default=None)


def _without_length(setup: _Setup) -> _Setup:
    variant = tuple(
        departure
        for departure in setup.key.variant
        if departure != "quick" and not departure.endswith((" epochs", " steps"))
    )
    return setup._replace(key=setup.key._replace(variant=variant))


def _point_of(record: Record) -> BatchPoint | None:
    """None for runs whose work is not right, or that did not come as far as a steady epoch."""
    steady = steady_of(record)
    if steady is None or record.headline.validity not in ("valid", "disturbed"):
        return None
    startup_s = record.timing.startup_s
    fixed_s = None if startup_s is None else startup_s + steady.warm_up_excess_s
    return BatchPoint(record, steady.interval, fixed_s)


def _device_of(record: Record) -> str:
    return record.device.resolved or record.device.requested


def _setup_of(record: Record) -> _Setup:
    key = key_of(record)
    batch = f"batch {record.workload.batch_size}"
    variant = tuple(departure for departure in key.variant if departure != batch)
    return _Setup(
        machine=machine_identity(record.machine),
        engine=record.engine.name,
        versions=tuple(sorted(record.engine.versions.items())),
        key=key._replace(variant=variant),
    )


Faster = Literal["other", "cpu", "neither", "unknown"]


@dataclass(frozen=True)
class BatchVerdict:
    """At one batch size: whose steady epoch is shorter, as far as the intervals show.

    ``gain_s`` is how much shorter an epoch is on the other device than on the CPU. ``epochs``:
    from how many epochs on the other device is ahead with everything before steady speed counted;
    only where it is faster. ``unknown``: one of the two runs cannot be compared.
    """

    batch_size: int
    faster: Faster
    cpu: BatchPoint
    other: BatchPoint
    gain_s: Interval
    epochs: Interval | None


@dataclass(frozen=True)
class Crossover:
    """The CPU against another device, with one engine on one machine."""

    engine: str
    key: ComparabilityKey
    device: str
    verdicts: tuple[BatchVerdict, ...]

    @property
    def from_batch(self) -> int | None:
        """The smallest batch size from which on the other device is faster at every size measured
        with both; None where it is not faster at the largest. Disturbed runs do not count."""
        start = None
        for verdict in reversed(self.verdicts):
            if verdict.faster == "unknown":
                continue
            if verdict.faster != "other":
                break
            start = verdict.batch_size
        return start


def crossovers(sweeps: Sequence[BatchSweep]) -> list[Crossover]:
    """For each device that is no CPU, beside the CPU's sweep of the same engine and machine."""
    by_setup = {(sweep.setup, sweep.device): sweep for sweep in sweeps}
    found = []
    for sweep in sweeps:
        cpu = by_setup.get((sweep.setup, CPU))
        if cpu is None or sweep.device == CPU:
            continue
        of_cpu = {point.batch_size: point for point in cpu.points}
        verdicts = tuple(
            verdict_at(of_cpu[point.batch_size], point)
            for point in sweep.points
            if point.batch_size in of_cpu
        )
        if verdicts:
            found.append(Crossover(sweep.engine, sweep.key, sweep.device, verdicts))
    return found


def apart(sweeps: Sequence[BatchSweep]) -> list[tuple[BatchSweep, str]]:
    """Sweeps on another device that stand beside one on the CPU of the same machine with the same
    engine and yet cannot be compared with it, and what differs."""
    crossed = {
        (crossover.engine, crossover.key, crossover.device) for crossover in crossovers(sweeps)
    }
    found = []
    for sweep in sweeps:
        beside = [
            other for other in sweeps
            if other.device == CPU and other.setup[:2] == sweep.setup[:2] and sweep.device != CPU
        ]  # fmt: skip
        if beside and (sweep.engine, sweep.key, sweep.device) not in crossed:
            found.append((sweep, _what_differs(sweep.setup, beside[-1].setup)))
    return found


def _what_differs(setup: _Setup, other: _Setup) -> str:
    parts = [
        f"{name.replace('_', ' ')} {_text(mine)} and {_text(theirs)}"
        for name, mine, theirs in zip(setup.key._fields, setup.key, other.key, strict=True)
        if mine != theirs
    ]
    if setup.versions != other.versions:
        parts.append("versions of the framework")
    return "; ".join(parts) or "no batch size that both were measured with"


def _text(part: object) -> str:
    return (", ".join(part) or "none") if isinstance(part, tuple) else str(part)


def verdict_at(cpu: BatchPoint, other: BatchPoint) -> BatchVerdict:
    """Both devices at one batch size."""
    gain_s = difference_interval(cpu.steady_epoch, other.steady_epoch)
    faster: Faster = "neither"
    if not (cpu.is_comparable and other.is_comparable):
        faster = "unknown"
    elif tells_apart(ratio_interval(cpu.steady_epoch, other.steady_epoch, exact_bounds=False)):
        faster = "other"
    elif tells_apart(ratio_interval(other.steady_epoch, cpu.steady_epoch, exact_bounds=False)):
        faster = "cpu"
    epochs = None
    if faster == "other" and cpu.fixed_s is not None and other.fixed_s is not None:
        epochs = _epochs_until_ahead(other.fixed_s - cpu.fixed_s, gain_s)
    return BatchVerdict(cpu.batch_size, faster, cpu, other, gain_s, epochs)


def difference_interval(left: Interval, right: Interval) -> Interval:
    """``left - right`` with its interval, by the method of variance estimates recovery (Zou and
    Donner, Statistics in Medicine 27, 2008)."""
    difference = left.median - right.median
    down = math.hypot(left.median - left.low, right.high - right.median)
    up = math.hypot(left.high - left.median, right.median - right.low)
    count = min(left.count, right.count)
    return Interval(difference, difference - down, difference + up, count)


def _epochs_until_ahead(late_s: float, gain_s: Interval) -> Interval:
    """Epochs after which a start ``late_s`` seconds later is made good, ``gain_s`` an epoch.

    Whole epochs, at least one: whoever starts earlier and is faster is ahead from the first on.
    """
    median, low, high = (
        max(1.0, math.ceil(late_s / max(gain, late_s / MOST_EPOCHS))) if late_s > 0 else 1.0
        for gain in (gain_s.median, gain_s.high, gain_s.low)
    )
    return Interval(median, low, high, gain_s.count)
