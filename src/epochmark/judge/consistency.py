"""What cannot be true of one and the same run: every field against the others that bound it.

Saving (as a finding), reading, checking and importing share these relations; docs/record-format.md
lists them. Each function yields sentences, none when everything fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, pairwise
from typing import Any

import msgspec

from epochmark.analysis.timing.headline import (
    expected_steps,
    is_known,
    steps_per_epoch,
    workload_of,
)
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.judge.losses import impossible_losses
from epochmark.records.quantities import QUANTITIES, implausible
from epochmark.records.record import Calm, Lap, Record, SensorLog
from epochmark.records.wording import counted

TICKS_S = 0.1
"""CPU time is counted in ticks of up to 10 ms, on each CPU; counters are read one after another."""
MISCOUNTED_SHARE = 0.1
"""Of the CPU time there was, by kernels whose idle time is not exact, and by hosts."""
QUOTA_BURST = 1.25
"""A control group may save up some of its quota."""
STALL_S = 1.0
"""Waiting is counted when it ends, which may be in the next sample."""
SWAP_BYTES_PER_S = 1e12
"""No memory reads faster."""
LEAST_MEMORY_BYTES = 8 << 20
"""Of a Python process that trains: the interpreter alone has more."""

PLACE = re.compile(r"(cpu|gpu|tpu)(:[0-9]{1,4})?")
"""A device by its kind, and its number where there are several."""
_PRECISIONS = ("stock", "float32", "tf32", "bfloat16", "float16")
_THREADS = re.compile(r"([0-9]+) of ([0-9]+) threads")
_SIGNAL = re.compile(r"SIG[A-Z0-9+-]+|signal [0-9]+")
_BEFORE_TRAINING = ("starting", "loading", "building")


def contradictions(record: Record) -> Iterator[str]:
    """All of them, those first without which the others cannot be asked about."""
    shape = list(shape_problems(record))
    if shape:
        yield from shape
        return
    checks = (_workload, _names, _times, impossible_losses, _failure, _machine, _limits)
    left_out = () if is_known(record.workload) else (_workload, impossible_losses)
    yield from chain.from_iterable(check(record) for check in checks if check not in left_out)
    if record.calm is not None:
        yield from _calm(record, record.calm)


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


def unprintable_text(record: Record) -> Iterator[str]:
    """Text in it is shown to people: ``check`` names what readers leave out."""
    for text in _texts(msgspec.to_builtins(record)):
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


def _workload(record: Record) -> Iterator[str]:
    run, workload = record.workload, workload_of(record.workload)
    if run.batch_size > workload.train_samples:
        there = f"{workload.train_samples} {workload.samples}"
        yield f"its batch of {run.batch_size} is larger than the {there}"
        return
    most = steps_per_epoch(run) * run.epochs
    if run.max_steps is not None and not 1 <= run.max_steps <= most:
        yield (
            f"{counted(run.max_steps, 'step')} asked for, of the {most} that "
            f"{counted(run.epochs, 'epoch')} have"
        )
    if run.seed >= 2**32:
        yield f"its seed {run.seed} is larger than any that can be asked for"
    if (run.quick + run.settle + (run.max_steps is not None)) > 1:
        yield "it has more than one rule for when to end"
    if len(set(run.variant)) < len(run.variant):
        yield "it names a variant twice"
    for few, all_of in (found.groups() for name in run.variant for found in _threads(name)):
        if not 0 < int(few) < int(all_of) == record.machine.usable_cores:
            yield f"its variant has {few} of {all_of} threads on {record.machine.usable_cores} CPUs"
    if record.failure is not None and record.failure.kind != "protocol-broken":
        yield from _work(record)


def _threads(variant: str) -> Iterator[re.Match[str]]:
    found = _THREADS.fullmatch(variant)
    if found:
        yield found


def _work(record: Record) -> Iterator[str]:
    """A run that failed has done no more than its work; of one that completed a finding says so."""
    per_epoch, done = steps_per_epoch(record.workload), _steps_by_epoch(record.timing.laps)
    if any(steps > per_epoch for steps in done.values()):
        yield f"an epoch has {max(done.values())} steps, there are {per_epoch} of this batch"
    if sum(done.values()) > expected_steps(record.workload):
        yield f"it made {sum(done.values())} steps of {expected_steps(record.workload)}"
    numbers = [epoch.epoch for epoch in record.learning.epochs]
    if numbers != list(range(1, len(numbers) + 1)):
        yield "its epochs are not numbered from 1 on"
    elif any(done.get(number) != per_epoch for number in numbers):
        yield "an epoch ended without all of its steps"


def _steps_by_epoch(laps: Iterable[Lap]) -> dict[int, int]:
    steps: dict[int, int] = {}
    for lap in laps:
        steps[lap.epoch] = steps.get(lap.epoch, 0) + lap.steps
    return steps


def _names(record: Record) -> Iterator[str]:
    """Words from closed lists, and what goes with them."""
    device, engine, requested = record.device, record.engine, record.precision.requested
    for place in (device.requested, device.resolved):
        if place is not None and not PLACE.fullmatch(place):
            yield f"{place!r} is not a device"
    if requested not in _PRECISIONS:
        yield f"{requested!r} is not a precision that can be requested"
    tuned = engine.tuned_settings is not None
    if tuned != (engine.tuning == "tuned"):
        yield f"it is labelled {engine.tuning}, and {'has' if tuned else 'lacks'} tuned settings"
    if tuned and requested != "float32":
        yield f"it is tuned, which is float32, and asked for {requested}"


def _times(record: Record) -> Iterator[str]:
    timing = record.timing
    last_ns = timing.laps[-1].end_ns if timing.laps else 0
    if record.outcome == "completed" and None in (timing.fit_ns, timing.startup_s):
        yield "it completed, but does not say how long it took"
    if timing.trained_ns is not None and timing.fit_ns is None:
        yield "its training ended, but its fit did not"
    ends = [last_ns, timing.trained_ns, timing.fit_ns]
    known = [end for end in ends if end is not None]
    if known != sorted(known):
        yield (
            f"its last lap ended after {last_ns / NANOSECONDS:.9g} s, "
            f"its training and its fit after {_seconds(timing.trained_ns)} and "
            f"{_seconds(timing.fit_ns)}"
        )


def _seconds(nanoseconds: int | None) -> str:
    return "unknown" if nanoseconds is None else f"{nanoseconds / NANOSECONDS:.9g} s"


def _failure(record: Record) -> Iterator[str]:
    failure = record.failure
    if failure is None:
        return
    ended = [way for way in (failure.exit_status, failure.signal) if way is not None]
    if len(ended) == 2 or (not ended and failure.kind != "protocol-broken"):
        yield "its worker ended both by itself and by a signal, or in neither way"
    if failure.kind == "killed" and failure.signal is None:
        yield "it was killed, but no signal is named"
    if failure.kind == "failed" and failure.exception is None:
        yield "the engine raised, but no exception is named"
    if failure.signal is not None and not _SIGNAL.fullmatch(failure.signal):
        yield f"there is no signal {failure.signal!r}"
    if failure.phase in _BEFORE_TRAINING and record.timing.laps:
        yield f"it failed while {failure.phase}, and has laps"


def _machine(record: Record) -> Iterator[str]:
    machine, peak = record.machine, record.peak_memory_bytes
    if machine.usable_cores < 1 or machine.physical_cores == 0:
        yield "its machine has no processor core"
    if peak is not None and machine.memory_bytes and peak > machine.memory_bytes:
        yield f"its worker held {peak} bytes of memory, its machine has {machine.memory_bytes}"
    if peak is not None and peak < LEAST_MEMORY_BYTES:
        yield f"its worker held {peak} bytes of memory, too few for any"


def _limits(record: Record) -> Iterator[str]:
    """They are those of a processor."""
    if record.limits is not None and record.device.resolved not in (None, "cpu"):
        yield f"it has limits of the processor, and ran on {record.device.resolved}"


def _calm(record: Record, calm: Calm) -> Iterator[str]:
    """No sample has more CPU time than there was, and no CPU time is negative."""
    if calm.cpus != record.machine.usable_cores:
        yield f"{calm.cpus} CPUs were watched, {record.machine.usable_cores} were usable"
    nothing = [0.0] * len(calm.end_s)
    slack_s = TICKS_S * calm.cpus
    spans = pairwise([0.0, *calm.end_s])
    columns = (calm.own_cpu_s, calm.foreign_cpu_s, calm.idle_cpu_s, calm.steal_cpu_s)
    # what is not known counts as nothing: the sum may only be too small then
    for (start, end), *used in zip(spans, *(column or nothing for column in columns), strict=False):
        own, foreign, idle, steal = used
        had_s = calm.cpus * (end - start)
        counted_s = own + foreign + idle + steal
        if counted_s > had_s * (1 + MISCOUNTED_SHARE) + slack_s:
            yield f"{counted_s:.2f} CPU seconds were counted in a sample that had {had_s:.2f}"
            break
        if min(own, idle, steal) < -slack_s:
            yield "a CPU time is negative"
            break
    lasted_s = calm.end_s[-1] if calm.end_s else 0.0
    yield from _own_time(record, calm, lasted_s)
    yield from _stalls(calm)


def _own_time(record: Record, calm: Calm, lasted_s: float) -> Iterator[str]:
    """Of our own CPU time, in which the worker's and the parent's are contained."""
    slack_s = TICKS_S * calm.cpus + MISCOUNTED_SHARE * lasted_s
    known = calm.own_cpu_s is not None
    own_s, worker_s, cost = sum(calm.own_cpu_s or []), calm.worker_cpu_s or 0.0, calm.cost
    if known and worker_s + cost.parent_cpu_s > own_s + slack_s:
        yield (
            f"the worker used {worker_s:.1f} and its parent {cost.parent_cpu_s:.1f} "
            f"of {own_s:.1f} CPU seconds"
        )
    if cost.sampler_cpu_s > cost.parent_cpu_s + TICKS_S:
        yield "sampling took more CPU time than the process that sampled"
    if calm.worker_cpu_s is not None and cost.reporting_cpu_s > worker_s + TICKS_S:
        yield "reporting took more CPU time than the worker that reported"
    fit_ns = record.timing.fit_ns
    if fit_ns is not None and worker_s > calm.cpus * (fit_ns / NANOSECONDS + TICKS_S) * (
        1 + MISCOUNTED_SHARE
    ):
        yield f"the worker used {worker_s:.1f} CPU seconds in {_seconds(fit_ns)}"
    quota = record.machine.cpu_quota
    if quota is not None and own_s > QUOTA_BURST * quota * lasted_s + slack_s + 1.0:
        yield f"it used {own_s:.1f} CPU seconds in {lasted_s:.1f} s, with a quota of {quota} CPUs"


def _stalls(calm: Calm) -> Iterator[str]:
    """Waiting lasts no longer than the sample, and what is counted comes in whole numbers."""
    for start, end, column in _spans(calm, calm.memory_stall_s):
        if not -TICKS_S <= column <= end - start + STALL_S:
            yield f"memory was waited for {column:.2f} s in a sample of {end - start:.2f} s"
            break
    for start, end, column in _spans(calm, calm.quota_throttled_s):
        if not -TICKS_S <= column <= calm.cpus * (end - start + STALL_S):
            yield f"its quota stopped it for {column:.2f} s in a sample of {end - start:.2f} s"
            break
    if any(asleep < -TICKS_S for asleep in calm.suspended_s or []):
        yield "the time its machine slept is negative"
    for start, end, column in _spans(calm, calm.swap_in_bytes):
        if not 0 <= column <= SWAP_BYTES_PER_S * (end - start + STALL_S) or column % 1:
            yield f"{column} bytes were read back from swap in {end - start:.2f} s"
            break
    if any(count < 0 or count % 1 for count in calm.runnable or []):
        yield "the number of tasks that ran is impossible"


def _spans(calm: Calm, column: list[float] | None) -> Iterator[tuple[float, float, float]]:
    """Begin and end of each sample with its entry in a column."""
    return zip([0.0, *calm.end_s], calm.end_s, column or [], strict=False)
