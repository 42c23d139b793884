"""How much arithmetic a run did in its time, and how much its machine can do at most.

Counted as direct arithmetic (``workloads.flops``), whatever algorithm an engine uses: one that
saves multiplications may exceed the peak. Rates are in GFLOP/s of 1e9; a multiply-add is two.
"""

from __future__ import annotations

from dataclasses import dataclass

from epochmark.analysis.timing.headline import headline_of, images_of_each, workload_of
from epochmark.records.quantities import GIGA
from epochmark.records.record import Machine, Record, RunLimits
from epochmark.records.wording import counted
from epochmark.workloads.flops import Flops, count_flops

MINIMAL_FILTERING = 5.1
"""Multiplications of a direct 3x3 convolution over those of minimal filtering F(6x6,3x3), 324 to 64
(Lavin and Gray, CVPR 2016): the most that any engine is known to save."""


@dataclass(frozen=True)
class Ceiling:
    """The most that could be reached, in GFLOP/s, and what did reach it."""

    gflop_per_s: float
    source: str


def flops_of(record: Record) -> Flops:
    """Floating-point operations of one sample of the record's workload."""
    return count_flops(workload_of(record.workload))


def direct_gflop_per_s(record: Record, images_per_s: float | None) -> float | None:
    """What training at this speed comes to as direct arithmetic; None where that is not known."""
    if images_per_s is None:
        return None
    return flops_of(record).training * images_per_s / GIGA


def ceiling_of(record: Record) -> Ceiling | None:
    """The processor's measured peak in the precision that the run computed in.

    None where it was not measured: without limits, on other devices than the CPU, and in precisions
    that ``epochmark limits`` does not measure.
    """
    limits = record.limits
    if limits is None or record.device.resolved != "cpu":
        return None
    return _peak(limits, {record.precision.requested, record.precision.observed} - {"stock"})


def _peak(limits: RunLimits, precisions: set[str | None]) -> Ceiling | None:
    """float32's for runs that asked for and showed nothing else; where bfloat16 comes in, the
    faster of both, since some of the work may have been in either."""
    float32 = Ceiling(limits.float32_gflop_per_s, limits.float32_source)
    if precisions == {"float32"}:
        return float32
    if not precisions <= {"float32", "bfloat16"} or limits.bfloat16_gflop_per_s is None:
        return None
    bfloat16 = Ceiling(limits.bfloat16_gflop_per_s, "bfloat16 multiply-adds")
    return max(float32, bfloat16, key=lambda ceiling: ceiling.gflop_per_s)


def share_of_peak(record: Record) -> float | None:
    """Of the record's figures: direct arithmetic over the peak; None where either is not known."""
    reached, ceiling = direct_gflop_per_s(record, record.headline.images_per_s), ceiling_of(record)
    return None if reached is None or ceiling is None else reached / ceiling.gflop_per_s


def most_images_per_s(record: Record) -> float | None:
    """Faster than this no right training can be: the machine's peak for all that is not in
    convolutions, ``MINIMAL_FILTERING`` times the peak for those. None without a peak, and with one
    that bounds nothing: measured on a busy machine, or with another supply of power or time."""
    ceiling = ceiling_of(record)
    if ceiling is None or record.limits is None or not _bounds(record.limits, record.machine):
        return None
    return ceiling.gflop_per_s * GIGA / _least_flop(record)


def _bounds(limits: RunLimits, machine: Machine) -> bool:
    """Whether a peak was measured as the machine was during the run, as far as is known."""
    supplies = (
        (limits.power_source, machine.power_source), (limits.cpu_quota, machine.cpu_quota),
    )  # fmt: skip
    return limits.steady and all(then in (None, now) for then, now in supplies)


def _least_flop(record: Record) -> float:
    """What training on one sample takes at least, convolutions by minimal filtering."""
    flops = flops_of(record)
    return flops.training_convolutions / MINIMAL_FILTERING + flops.training_rest


def filtering_text(record: Record) -> str:
    """What ``_least_flop`` grants, at the end of a sentence; empty without convolutions."""
    if not flops_of(record).training_convolutions:
        return ""
    return f", convolutions {MINIMAL_FILTERING} times as fast included"


HIGHEST_CLOCK_HZ = 6.5e9
"""No processor sold so far runs faster."""

MULTIPLY_ADDS_PER_CYCLE = (
    ("amx_tile", 64, 1024),
    ("avx512f", 32, 128),
    ("avx2", 16, 64),
    ("sme", 512, 2048),
    ("sve", 64, 256),
    ("neon", 32, 128),
    ("asimd", 32, 128),
)
"""By instruction set, the first that a processor has: the most multiply-adds a core makes in a
cycle, in float32 and in less: two or four vector units of the widest kind there is, and what matrix
units take in less than float32; rounded up."""
MATRIX_UNIT = (512, 2048)
"""Apple's processors have one that no list of instruction sets names; also for unknown ones."""
PLAIN_X86 = (8, 8)

CPU_TIME_SEEN_S = 1.0
"""Shorter work may fall between two ticks of a kernel that counts CPU time by them."""


def most_per_core(record: Record) -> float:
    """FLOP/s that no core of this kind exceeds in the precision asked for and observed."""
    machine = record.machine
    known = {name: rates for name, *rates in MULTIPLY_ADDS_PER_CYCLE}
    has = next((known[name] for name in known if name in machine.instruction_sets), None)
    if machine.os == "macOS" and machine.architecture == "arm64":
        has = list(MATRIX_UNIT)
    elif has is None:
        is_x86 = machine.architecture in ("x86_64", "AMD64") and machine.instruction_sets
        has = list(PLAIN_X86 if is_x86 else MATRIX_UNIT)
    float32, less = has
    only_float32 = {record.precision.requested, record.precision.observed} <= {"stock", "float32"}
    return 2.0 * HIGHEST_CLOCK_HZ * (float32 if only_float32 else less)


def beyond_processor(record: Record) -> str | None:
    """Why no processor of this kind can have done the work, whoever measured its peak; or None. Of
    the CPU only."""
    if not has_known_bound(record):
        return None
    core, least = most_per_core(record), _least_flop(record)
    cores = max(1, record.machine.usable_cores)
    most, reached = cores * core / least, headline_of(record).images_per_s
    if reached is not None and reached > most:
        return (
            f"{reached:,.0f} {workload_of(record.workload).samples}/s: {counted(cores, 'core')} of "
            f"this kind reach {most:,.0f} at the very most, at {HIGHEST_CLOCK_HZ / GIGA} GHz"
            f"{filtering_text(record)}"
        )
    cpu_s = record.calm.worker_cpu_s if record.calm is not None else None
    needed_s = sum(images_of_each(record.timing.laps, record.workload)) * least / core
    if cpu_s and needed_s >= CPU_TIME_SEEN_S and cpu_s < needed_s:
        return (
            f"the worker had {cpu_s:.2f} s of CPU time during the fit; its steps take "
            f"{needed_s:.1f} s of a core at the very least"
        )
    return None


def has_known_bound(record: Record) -> bool:
    """Whether it is known how fast the device that trained can be at most: so far of CPUs only."""
    return record.device.resolved == "cpu"
