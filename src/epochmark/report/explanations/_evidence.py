"""The evidence that rules judge: from a run, batch sweeps around it, its machine's limits."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from epochmark.analysis.comparing.batch_sizes import batch_sweeps, sweep_around
from epochmark.analysis.timing.headline import steady_of
from epochmark.analysis.timing.start_up import clocks_of
from epochmark.records.machine.machine_limits import EngineLimits, Limits
from epochmark.records.record import Record
from epochmark.report.explanations._rule import Evidence


def gather(
    record: Record, records: Sequence[Record] = (), limits: Limits | None = None
) -> Evidence:
    """The evidence about a run: itself, batch sweeps among ``records``, and the limits if they are
    those of its machine."""
    limits = limits if limits is not None and limits.fits(record.machine) else None
    sweep = sweep_around(record, records)
    beside = tuple(swept for swept in batch_sweeps(records) if sweep and swept.setup == sweep.setup)
    return Evidence(
        record=record,
        clocks=clocks_of(record),
        steady=steady_of(record),
        limits=limits,
        engine_limits=_engine_limits(record, limits),
        sweep=sweep,
        beside=beside,
    )


def _engine_limits(record: Record, limits: Limits | None) -> EngineLimits | None:
    """What this engine reached on the device of the run, where its rates repeated as peaks must;
    None where its versions were others."""
    device = record.device.resolved or record.device.requested
    found = limits.of_engine(record.engine.name, device) if limits else None
    if found is None or found.versions != record.engine.versions:
        return None
    product, convolution, loaded = found.product, found.convolution, found.is_loaded
    return msgspec.structs.replace(
        found,
        product=product if product and product.timed.per_s.repeats and not loaded else None,
        convolution=convolution
        if convolution and convolution.per_s.repeats and not loaded
        else None,
    )
