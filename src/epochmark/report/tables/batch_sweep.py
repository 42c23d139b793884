"""Batch sweeps in tables and sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from epochmark.analysis.comparing.batch_sizes import (
    BatchSweep,
    BatchVerdict,
    Crossover,
    apart,
    crossovers,
)
from epochmark.analysis.timing.headline import steps_per_epoch
from epochmark.records.record import Record
from epochmark.report.digits import scaled, value_text
from epochmark.report.figures import (
    NONE,
    device_id,
    engine_text,
    images_text,
    interval_text,
    steady_interval,
    steady_text,
    under_images,
    validity_text,
)

SWEEP_COLUMNS = (
    "engine", "device", "batch", "s/epoch", "interval", "images/s", "ms/step", "validity",
)  # fmt: skip
VARIANTS_NOTE = (
    "Batch sizes are variants: each trains differently, so they are listed side by side, not "
    "ranked."
)


def sweep_rows(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """One row per run, in ``SWEEP_COLUMNS``: by engine and device, then by batch size."""
    ordered = sorted(
        records,
        key=lambda record: (record.engine.name, device_id(record), record.workload.batch_size),
    )
    return [
        (
            engine_text(record),
            device_id(record),
            str(record.workload.batch_size),
            steady_text(record),
            interval_text(record),
            under_images(images_text(record), record.workload.name),
            _step_text(record),
            validity_text(record),
        )
        for record in ordered
    ]


def _step_text(record: Record) -> str:
    """Milliseconds a step, known as well as the epoch is."""
    steady = steady_interval(record)
    if steady is None:
        return NONE
    return value_text(scaled(1e3 * steady.median / steps_per_epoch(record.workload), steady))


def crossover_lines(sweeps: Sequence[BatchSweep]) -> list[str]:
    """From which batch size and how many epochs on another device is faster than the CPU."""
    lines = []
    for crossover in crossovers(sweeps):
        lines += [
            _summary(crossover),
            *(f"  {_at_batch(crossover, v)}" for v in crossover.verdicts),
        ]
    lines += [
        f"{sweep.engine}: {sweep.device} is not compared with the CPU, since their runs differ in: "
        f"{what}"
        for sweep, what in apart(sweeps)
    ]
    return lines


def _summary(crossover: Crossover) -> str:
    """The batch size in one sentence."""
    name, device = crossover.engine, crossover.device
    known = [verdict for verdict in crossover.verdicts if verdict.faster != "unknown"]
    if not known:
        return f"{name}: {device} cannot be compared with cpu: no size has two comparable runs."
    if crossover.from_batch is None:
        won = [str(verdict.batch_size) for verdict in known if verdict.faster == "other"]
        largest = f"at the largest batch size compared, {known[-1].batch_size}"
        but = f", though it is at {', '.join(won)}" if won else ""
        return f"{name}: {device} is not faster than cpu {largest}{but}."
    if crossover.from_batch == known[0].batch_size:
        sizes = "every batch size" if len(known) > 1 else f"batch {known[0].batch_size}"
        return f"{name}: {device} has the shorter steady epoch at {sizes} compared."
    return (
        f"{name}: {device} has the shorter steady epoch from batch {crossover.from_batch} on "
        "(of the sizes compared)."
    )


def _at_batch(crossover: Crossover, verdict: BatchVerdict) -> str:
    """What one batch size says."""
    cpu_s, other_s = (value_text(point.steady_epoch) for point in (verdict.cpu, verdict.other))
    figures = f"{crossover.device} {other_s} s, cpu {cpu_s} s an epoch"
    start = f"batch {verdict.batch_size}: "
    if verdict.faster == "unknown":
        return f"{start}not compared, since one of the runs is not valid or too short"
    if verdict.faster == "cpu":
        return f"{start}cpu is faster ({figures})"
    if verdict.faster == "neither":
        return f"{start}no clear difference ({figures})"
    return f"{start}{crossover.device} is faster ({figures}){_epochs_text(verdict)}"


def _epochs_text(verdict: BatchVerdict) -> str:
    """From which epoch on the other device is ahead."""
    epochs = verdict.epochs
    if epochs is None:
        return ""
    if epochs.high == 1:
        return ", and ahead from the first epoch on, start-up and compilation included"
    interval = f" (95 % interval {epochs.low:,.0f} to {epochs.high:,.0f})"
    spread = interval if epochs.low < epochs.high else ""
    many = f"{epochs.median:,.0f} epoch{'' if epochs.median == 1 else 's'}"
    return f", and ahead from {many} on{spread}, start-up and compilation included"


def crossovers_document(sweeps: Sequence[BatchSweep]) -> list[dict[str, Any]]:
    """The same for programs: for each engine and device the batch size, and each size's figures."""
    return [
        {
            "engine": crossover.engine,
            "device": crossover.device,
            "faster_from_batch": crossover.from_batch,
            "at": [
                {
                    "batch": verdict.batch_size,
                    "faster": verdict.faster,
                    "cpu_epoch_s": verdict.cpu.steady_epoch.median,
                    "device_epoch_s": verdict.other.steady_epoch.median,
                    "gain_s": verdict.gain_s,
                    "ahead_from_epoch": verdict.epochs,
                }
                for verdict in crossover.verdicts
            ],
        }
        for crossover in crossovers(sweeps)
    ]
