"""A batch sweep: the same run again and again, each with another batch size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from epochmark.bench.plan import Plan, PlannedRun
from epochmark.errors import EpochmarkError
from epochmark.workloads import Workload

DEFAULT_BATCH_SIZES = (32, 64, 128, 256, 512, 1024)
"""From where overhead rules to where most devices are full; ``mnist-cnn``'s own 128 among them."""

AROUND = (0.25, 0.5, 1, 2, 4, 8)
"""By a workload's own batch size: as far around it as the sizes above around 128."""

MAX_SIZES = 32


def parse_batch_sizes(text: str) -> tuple[int, ...]:
    """``32,64,128`` as numbers, ascending. Raises ``EpochmarkError`` (exit code 2) for anything
    that is no list of two or more different sizes."""
    words = [word.strip() for word in text.split(",")]
    if not all(word.isascii() and word.isdecimal() and len(word) < 10 for word in words):
        _refuse(f"{text!r} is not a list of batch sizes; write them like 32,64,128")
    sizes = tuple(sorted({int(word) for word in words}))
    if not 2 <= len(sizes) <= MAX_SIZES:
        _refuse(f"a sweep takes 2 to {MAX_SIZES} different batch sizes; {text!r} has {len(sizes)}")
    return sizes


def usual_sizes(workload: Workload) -> tuple[int, ...]:
    """Those of ``DEFAULT_BATCH_SIZES`` of which the workload can make an epoch; where that leaves
    fewer than two, those around its own batch size.

    Raises ``EpochmarkError`` (exit code 2) where that leaves fewer than two as well.
    """
    sizes = _fitting(workload, DEFAULT_BATCH_SIZES)
    if len(sizes) < 2:
        around = {max(1, int(factor * workload.batch_size)) for factor in AROUND}
        sizes = _fitting(workload, sorted(around))
    if len(sizes) < 2:
        _refuse(f"{workload.name} has no usual batch sizes to sweep: name some with --batches")
    return sizes


def _fitting(workload: Workload, sizes: Sequence[int]) -> tuple[int, ...]:
    return tuple(size for size in sizes if workload.takes_batches_of(size))


def swept(plan: Plan, batch_sizes: Sequence[int] | None = None) -> Plan:
    """Each run of the plan as a quick run at every batch size, by default the usual ones of its
    workload.

    Raises ``EpochmarkError`` for the first that cannot be run, before anything is measured.
    """
    runs = tuple(
        _at(run, size)
        for run in plan.runs
        for size in batch_sizes or usual_sizes(run.request.workload)
    )
    return replace(plan, runs=runs)


def _at(run: PlannedRun, batch_size: int) -> PlannedRun:
    asked = run.request
    if asked.batch_size is not None:
        _refuse(
            "a sweep has several batch sizes: omit --batch, or omit --sweep-batch and --batches"
        )
    if asked.max_steps is not None or asked.settle:
        _refuse("runs of a sweep stop by themselves: omit --steps and --settle")
    request = replace(asked, batch_size=batch_size, quick=True)
    request.check()
    return replace(run, request=request)


def _refuse(message: str) -> None:
    raise EpochmarkError(message, exit_code=2)
