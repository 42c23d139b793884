"""How much arithmetic a run did in its time, and how much its machine can do at most.

Counted as direct arithmetic (``workloads.flops``), whatever algorithm an engine uses: one that
saves multiplications may exceed the peak. Rates are in GFLOP/s of 1e9; a multiply-add is two.
"""

from __future__ import annotations

from dataclasses import dataclass

from epochmark.results.record import Record, RunLimits
from epochmark.workloads import WORKLOADS
from epochmark.workloads.flops import Flops, count_flops

GIGA = 1e9
MINIMAL_FILTERING = 5.1
"""Multiplications of a direct 3x3 convolution over those of minimal filtering F(6x6,3x3), 324 to 64
(Lavin and Gray, CVPR 2016): the most that any engine is known to save."""


@dataclass(frozen=True)
class Ceiling:
    """The most that could be reached, in GFLOP/s, and what did reach it."""

    gflop_per_s: float
    source: str


def flops_of(record: Record) -> Flops:
    """Floating-point operations of one image of the record's workload."""
    return count_flops(WORKLOADS[record.workload.name])


def direct_gflop_per_s(record: Record, images_per_s: float | None) -> float | None:
    """What training at this speed comes to as direct arithmetic; None where that is not known."""
    if images_per_s is None:
        return None
    return flops_of(record).training * images_per_s / GIGA


def ceiling_of(record: Record) -> Ceiling | None:
    """The processor's measured peak in the precision that the run computed in.

    None where nobody measured it: without limits, on other devices than the CPU, and in precisions
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
    convolutions, ``MINIMAL_FILTERING`` times the peak for those. None without a peak, or with one
    that was measured on a busy machine."""
    ceiling = ceiling_of(record)
    if ceiling is None or record.limits is None or not record.limits.steady:
        return None
    flops = flops_of(record)
    least_flop = flops.training_convolutions / MINIMAL_FILTERING + flops.training_rest
    return ceiling.gflop_per_s * GIGA / least_flop
