"""What cannot be true of one and the same run: every field against the others that bound it.

Saving (as a finding), reading, checking and importing share these relations; docs/record-format.md
lists them. Each function yields sentences, none when everything fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from epochmark.analysis.timing.headline import (
    expected_steps,
    is_known,
    steps_per_epoch,
    workload_of,
)
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.judge._checks.counters import impossible_counts, seconds_text
from epochmark.judge._checks.shape import shape_problems
from epochmark.judge.losses import impossible_losses
from epochmark.records.record import Lap, Record
from epochmark.records.wording import counted

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
        yield from impossible_counts(record, record.calm)


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
            f"its training and its fit after {seconds_text(timing.trained_ns)} and "
            f"{seconds_text(timing.fit_ns)}"
        )


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
