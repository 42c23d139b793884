"""The limits of a machine as tables: what its processor can do, and what each engine reaches."""

from __future__ import annotations

from collections.abc import Iterator

from epochmark.records.dates import local_time
from epochmark.records.machine.machine_limits import (
    EngineLimits,
    Limits,
    ProcessorLimits,
    Spread,
    Timed,
)
from epochmark.records.wording import counted
from epochmark.report.figures import NONE, rate, shortened
from epochmark.report.plain_text import plain
from epochmark.report.tables.section import Section

ARITHMETIC_HEADER = ("arithmetic", "precision", "threads", "GFLOP/s peak", "GFLOP/s product")
MEMORY_HEADER = ("memory", "threads", "GB/s")
ENGINES_HEADER = (
    "engine", "device", "GFLOP/s product", "GFLOP/s convolution", "dispatch", "input", "measured",
)  # fmt: skip

ARITHMETIC_NOTE = (
    "peak: independent multiply-adds in registers. product: float32 matrix product by the native "
    "kernels."
)
MEMORY_NOTE = "STREAM's triad, a = b + factor * c, counted as three arrays."
ENGINES_NOTE = (
    "Each framework's own operations with stock settings: a float32 matrix product; the second "
    "convolution of mnist-cnn, forward, as direct arithmetic (minimal filtering may exceed the "
    "peak); dispatch: one addition of two scalars and waiting for it; input: gathering a batch of "
    "mnist-cnn and bringing it to the device, where training does that apart from its steps."
)


def limits_sections(limits: Limits) -> list[Section]:
    """Tables of the processor's and the engines' limits: of peaks and memory the fastest
    repetition, of all else the median."""
    sections = []
    if limits.processor is not None:
        sections += list(_processor(limits))
    if limits.engines:
        rows = tuple(_engine_row(measured) for measured in limits.engines)
        problems = [
            f"{measured.engine} on {measured.device}: {plain(measured.problem)}"
            for measured in limits.engines
            if measured.problem
        ]
        title = "What engines reach"
        sections.append(Section(title, ENGINES_HEADER, rows, (ENGINES_NOTE, *problems)))
    return sections


def _processor(limits: Limits) -> Iterator[Section]:
    processor = limits.processor
    assert processor is not None
    machine = limits.machine
    cores = counted(machine.usable_cores, "core")
    title = f"{plain(machine.cpu)}, {cores}, measured {local_time(processor.measured)}"
    peak, low_precision = limits.peak(), limits.peak("bfloat16")
    best = [
        f"Highest {name} peak: {rate(found.gflop_per_s.high)} GFLOP/s ({plain(found.source)})."
        for name, found in (("float32", peak), ("bfloat16", low_precision))
        if found is not None
    ]
    rows = tuple(_arithmetic_rows(processor))
    if rows:
        yield Section(title, ARITHMETIC_HEADER, rows, (ARITHMETIC_NOTE, *best, *_doubts(limits)))
    triads = tuple(
        (f"3 x {triad.array_bytes >> 20} MiB", str(triad.threads), rate(triad.timed.per_s.high))
        for triad in processor.triads
    )
    problems = tuple(plain(problem) for problem in processor.problems)
    yield Section("Memory bandwidth", MEMORY_HEADER, triads, (MEMORY_NOTE, *problems))


def _doubts(limits: Limits) -> Iterator[str]:
    """Why the peak bounds no run, where it was measured on a busy machine."""
    processor, kept = limits.processor, limits.for_run()
    if processor is None or kept is None or kept.steady:
        return
    why = "the machine was busy when it was measured"
    if processor.is_loaded:
        why = f"other programs used {processor.foreign_cpus:.1f} CPUs when it was measured"
    elif limits.threads_slow_each_other:
        why = "more threads reached less than fewer, so something else used those cores"
    yield (
        f"The real peak may be higher: {why}. So it is not used to judge runs; measure it again "
        "when the machine is calm."
    )


def _arithmetic_rows(processor: ProcessorLimits) -> Iterator[tuple[str, ...]]:
    products = {
        (product.instruction_set, product.threads): product for product in processor.products
    }
    for measured in processor.multiply_adds:
        product = products.get((measured.instruction_set, measured.threads))
        yield (
            plain(measured.instruction_set),
            measured.precision,
            str(measured.threads),
            rate(measured.timed.per_s.high),
            _rate(product.timed.per_s if product else None),
        )


def _engine_row(measured: EngineLimits) -> tuple[str, ...]:
    return (
        measured.engine,
        shortened(plain(measured.device)),
        _rate(measured.product.timed.per_s if measured.product else None),
        _rate(measured.convolution.per_s if measured.convolution else None),
        _microseconds(measured.dispatch),
        _microseconds(measured.input),
        local_time(measured.measured)[: len("2026-11-29")],
    )


def _microseconds(timed: Timed | None) -> str:
    if timed is None:
        return NONE
    us = timed.call_s.median * 1e6
    return f"{us:,.0f} µs" if us >= 100 else f"{us:.3g} µs"


def _rate(spread: Spread | None) -> str:
    return NONE if spread is None else rate(spread.median)
