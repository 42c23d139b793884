"""What counters that watched a run cannot have counted."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.records.record import Calm, Record

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


def impossible_counts(record: Record, calm: Calm) -> Iterator[str]:
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


def seconds_text(nanoseconds: int | None) -> str:
    """A time of the record's, in words."""
    return "unknown" if nanoseconds is None else f"{nanoseconds / NANOSECONDS:.9g} s"


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
        yield f"the worker used {worker_s:.1f} CPU seconds in {seconds_text(fit_ns)}"
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
