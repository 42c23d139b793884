"""Runs to explain, and limits to hold them against."""

from __future__ import annotations

from typing import Any

import msgspec

from epochmark.records.machine.machine_limits import EngineLimits, Limits, Product, Timed
from epochmark.records.record import Calm, Lap, Record, WatchingCost
from tests.report.samples import finished, machine_limits, sample, timed

WHEN = "2026-11-24T12:00:00Z"
replace = msgspec.structs.replace


def steady(
    epoch_s: float = 20.0,
    *,
    first_step_s: float | None = None,
    beginning_s: float = 0.0,
    startup_s: float = 0.5,
    settings: dict[str, str] | None = None,
    busy_cpus: float | None = None,
    **fields: Any,
) -> Record:
    """A run of ten even epochs. ``first_step_s``: the first step is a lap of its own that long;
    ``beginning_s``: the first epoch takes so much longer."""
    record = sample(**fields)
    per_epoch = -(-60_000 // record.workload.batch_size)
    late_s = beginning_s + (first_step_s or 0.0)
    laps = [
        Lap(epoch=n, steps=per_epoch, end_ns=round((late_s + n * epoch_s) * 1e9))
        for n in range(1, 11)
    ]
    if first_step_s is not None:
        first = Lap(epoch=1, steps=1, end_ns=round(first_step_s * 1e9))
        laps = [first, replace(laps[0], steps=per_epoch - 1), *laps[1:]]
    timing = replace(record.timing, laps=laps, fit_ns=laps[-1].end_ns, startup_s=startup_s)
    engine = record.engine
    if settings is not None:
        engine = replace(engine, settings=settings)
    calm = record.calm if busy_cpus is None else watched(laps[-1].end_ns / 1e9, *[busy_cpus] * 10)
    return finished(replace(record, timing=timing, engine=engine, calm=calm))


def watched(lasted_s: float, *busy_cpus: float) -> Calm:
    """A calm machine of two CPUs, of which the worker kept ``busy_cpus`` busy, one a sample."""
    count = len(busy_cpus)
    sample_s = lasted_s / count
    return Calm(
        source="/proc",
        cpus=2,
        end_s=[sample_s * n for n in range(1, count + 1)],
        foreign_cpu_s=[0.0] * count,
        own_cpu_s=[busy * sample_s for busy in busy_cpus],
        idle_cpu_s=[(2 - busy) * sample_s for busy in busy_cpus],
        steal_cpu_s=[0.0] * count,
        memory_stall_s=[0.0] * count,
        swap_in_bytes=None,
        quota_throttled_s=None,
        suspended_s=[0.0] * count,
        runnable=[2.0] * count,
        worker_cpu_s=sum(busy_cpus) * sample_s,
        involuntary_switches=0,
        cost=WatchingCost(sampler_cpu_s=0.0, parent_cpu_s=0.0, reporting_cpu_s=0.0),
    )


def limits(
    record: Record,
    peak: float = 490.0,
    product: float | None = None,
    convolution: float | None = None,
    latency_s: float | None = None,
    input_s: float | None = None,
    bandwidth: float = 30.0,
    versions: dict[str, str] | None = None,
) -> Limits:
    """Those of the record's machine and engine."""
    engine = EngineLimits(
        measured=WHEN,
        epochmark_version="0",
        engine=record.engine.name,
        device=record.device.resolved or "cpu",
        versions=record.engine.versions if versions is None else versions,
        product=None if product is None else Product(size=1024, timed=timed(product)),
        convolution=None if convolution is None else timed(convolution),
        dispatch=None if latency_s is None else Timed(work=1, seconds=[latency_s]),
        input=None if input_s is None else Timed(work=401_408, seconds=[input_s]),
    )
    return machine_limits(record.machine, engine, peak=peak, bandwidth=bandwidth)
