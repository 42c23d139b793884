"""How calm the machine was during a run: shares and rates derived from a record's samples."""

from __future__ import annotations

from dataclasses import dataclass

from epochmark.records.record import Calm

MISSED_SHARE = 0.05
"""Of our own CPU time that counters of the whole machine may lack: they are of coarser grain."""
MISSED_S = 0.1
MISSED_S_PER_CPU = 0.02
"""And so much besides: CPU time is counted in ticks of 10 ms on each CPU."""
COUNTED = (0.25, 1.5)
"""How much CPU time, idle and stolen included, counters may show to the time that the CPUs had."""


@dataclass(frozen=True)
class Calmness:
    """Means over the fit. ``*_cpus`` are CPUs' worth of time; shares are of 1. None: unknown.

    ``memory_stall_share`` is the part of the fit in which everything waited for memory.
    ``steal_share`` is the part of the CPU time wanted by all processes, ``throttled_share`` of that
    wanted by ours.
    ``watching_share`` is CPU time of watching over that of the worker.
    """

    lasted_s: float
    foreign_cpus: float | None
    own_cpus: float | None
    idle_cpus: float | None
    steal_share: float | None
    memory_stall_share: float | None
    swap_in_bytes_per_s: float | None
    throttled_share: float | None
    suspended_s: float | None
    runnable: float | None
    switches_per_s: float | None
    watching_share: float | None


def calmness(calm: Calm) -> Calmness:
    """The samples of one run, summed up. They cover the fit without a gap.

    A sample of CPU time of an older record may be below zero: clocks are of different grain, the
    kernel's idle time is not exact, and a process that ended takes its time along. All of the fit
    together is not; where it is nevertheless, the counters say nothing about others.
    """
    lasted_s = max(calm.end_s[-1], 1e-9) if calm.end_s else 1e-9
    own_s, idle_s = _cpu_seconds(calm.own_cpu_s), _cpu_seconds(calm.idle_cpu_s)
    foreign_s = None if foreign_is_impossible(calm) else _cpu_seconds(calm.foreign_cpu_s)
    used_s = (own_s or calm.worker_cpu_s or 0.0) + (foreign_s or 0.0)
    throttled_s, stall_s = _sum(calm.quota_throttled_s), _sum(calm.memory_stall_s)
    steal_s, swap_in, runnable = _sum(calm.steal_cpu_s), _sum(calm.swap_in_bytes), calm.runnable
    cost, switches = calm.cost, calm.involuntary_switches
    return Calmness(
        lasted_s=lasted_s,
        foreign_cpus=None if foreign_s is None else foreign_s / lasted_s,
        own_cpus=None if own_s is None else own_s / lasted_s,
        idle_cpus=None if idle_s is None else idle_s / lasted_s,
        steal_share=_share(steal_s, used_s),
        memory_stall_share=None if stall_s is None else stall_s / lasted_s,
        swap_in_bytes_per_s=None if swap_in is None else swap_in / lasted_s,
        throttled_share=_share(throttled_s, own_s or calm.worker_cpu_s or 0.0),
        suspended_s=_sum(calm.suspended_s),
        runnable=sum(runnable) / len(runnable) if runnable else None,
        switches_per_s=None if switches is None else switches / lasted_s,
        watching_share=(cost.parent_cpu_s + cost.reporting_cpu_s) / calm.worker_cpu_s
        if calm.worker_cpu_s
        else None,
    )


def foreign_is_impossible(calm: Calm) -> bool:
    """Whether the machine is said to have used less CPU time in all than our own processes, by more
    than clocks differ."""
    if calm.foreign_cpu_s is None:
        return False
    counted_s = sum(calm.foreign_cpu_s) + (_sum(calm.steal_cpu_s) or 0.0)
    return counted_s < -_missed_s(calm.cpus, _sum(calm.own_cpu_s) or 0.0)


def counts_all(
    cpus: int, lasted_s: float, busy_s: float, idle_s: float, steal_s: float, own_s: float
) -> bool:
    """Whether the growth of a machine's counters in ``lasted_s`` can be the truth: it holds what
    our own processes used, and about as much time as the CPUs had. Counters that stand still, as
    in a sandbox, do not."""
    missed_s = _missed_s(cpus, own_s)
    had_s, counted_s = cpus * lasted_s, busy_s + idle_s + steal_s
    least_s, most_s = (share * had_s for share in COUNTED)
    return busy_s + steal_s >= own_s - missed_s and (
        least_s - missed_s <= counted_s <= most_s + missed_s
    )


def counts_worker(own_s: float, worker_s: float) -> bool:
    """Whether the CPU time seen of our processes holds what the worker says it used itself: if not
    they cannot be separated from others, as with the ``/proc`` of another namespace."""
    return own_s >= worker_s - _missed_s(1, worker_s)


def _missed_s(cpus: int, own_s: float) -> float:
    return MISSED_SHARE * own_s + MISSED_S + MISSED_S_PER_CPU * cpus


def _cpu_seconds(column: list[float] | None) -> float | None:
    return None if column is None else max(0.0, sum(column))


def _sum(column: list[float] | None) -> float | None:
    return None if column is None else sum(column)


def _share(lost_s: float | None, got_s: float) -> float | None:
    """Part of the wanted CPU time that was lost."""
    if lost_s is None:
        return None
    wanted_s = lost_s + got_s
    return max(0.0, lost_s) / wanted_s if wanted_s > 0 else 0.0
