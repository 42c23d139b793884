"""What is kept of a run among thousands: its figure, its circumstances, what its sensors say."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Literal

from epochmark.analysis.comparing.comparison import Side, side_of_record
from epochmark.analysis.machine.gpus import GPU_DRIVER, GPU_POWER_LIMIT, gpu_facts
from epochmark.analysis.machine.sensed import Series, series_of, warm_span
from epochmark.analysis.timing.beside import FOREIGN_CPUS
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.records.dates import is_credible, moment
from epochmark.records.fields import Quantity
from epochmark.records.findings import FindingCode
from epochmark.records.machine.identity import processor_of
from epochmark.records.machine.machine_limits import Limits
from epochmark.records.record import Machine, Record

Reading = Literal[
    "peak", "bandwidth", "product", "input", "clock", "temperature", "power", "throttled",
    "foreign",
]  # fmt: skip
"""What may explain a node's speed: GFLOP/s, GB/s, GFLOP/s, GB/s, MHz, °C, W, share, CPUs."""

SHARED_LOAD_CPUS = FOREIGN_CPUS + 0.02
"""What other programs may use during a run of a fleet: Ray's own processes, on each node alike, use
0.02 CPU (docs/fleet.md)."""

_SENSED: dict[Reading, Quantity] = {
    "clock": "frequency", "temperature": "temperature", "power": "power",
}  # fmt: skip


@dataclass(frozen=True)
class Run:
    """A run of a fleet without its laps. ``parts`` are what alike machines have in common, by
    name; ``readings`` are medians over its warm part; ``file`` is where the record came from."""

    id: str
    file: str
    created: str
    lasted_s: float
    engine: str
    side: Side
    machine: Machine
    validity: str
    findings: tuple[str, ...]
    parts: Mapping[str, str]
    readings: Mapping[Reading, float]

    @property
    def epoch_s(self) -> float:
        """Seconds of its steady epoch; only of runs that count."""
        assert self.side.steady_epoch is not None, "only runs with a steady epoch count"
        return self.side.steady_epoch.median

    @property
    def problem(self) -> str | None:
        """Why the run does not count, in words; None where it does."""
        if self.validity != "valid" and self.findings and not self.has_only_shared_load:
            return f"{self.validity} ({', '.join(self.findings)})"
        return self.side.unfit or self.side.doubt

    @property
    def has_only_shared_load(self) -> bool:
        """Whether nothing was found but as much foreign load as each node of a fleet may have."""
        only = self.findings == (FindingCode.FOREIGN_LOAD.value,)
        return only and self.readings.get("foreign", math.inf) <= SHARED_LOAD_CPUS

    @property
    def dated(self) -> bool:
        """Whether the clock that dated it can be believed."""
        return is_credible(self.created)

    @property
    def span(self) -> tuple[datetime, datetime]:
        """When it began and ended, by its machine's clock."""
        end = moment(self.created)
        return end - timedelta(seconds=min(self.lasted_s, 1e6)), end


def run_of(record: Record, file: str) -> Run:
    """The run of a record, which is no longer needed."""
    timing = record.timing
    run = Run(
        id=record.id,
        file=file,
        created=record.created,
        lasted_s=(timing.startup_s or 0.0) + (timing.fit_ns or 0) / NANOSECONDS,
        engine=record.engine.name,
        side=side_of_record(record, record.id[:8]),
        machine=record.machine,
        validity=record.headline.validity,
        findings=tuple(finding.code for finding in record.findings),
        parts=_parts(record),
        readings=dict(_readings(record)),
    )
    return replace(run, side=replace(run.side, doubt=None)) if run.has_only_shared_load else run


def _parts(record: Record) -> dict[str, str]:
    """Hardware, driver, versions and settings, power: what must be equal for nodes to be alike."""
    machine, engine, device = record.machine, record.engine, record.device
    memory_class, gpus = processor_of(machine)[-1], gpu_facts(record)
    known = {
        "processor": machine.cpu,
        "microarchitecture": machine.microarchitecture,
        "memory": f"about {2 ** (memory_class / 2) / 2**30:.0f} GiB"
        if isinstance(memory_class, int)
        else None,
        "usable cores": str(machine.usable_cores),
        "CPU quota": str(machine.cpu_quota or "none"),
        "kinds of cores": machine.core_kinds,
        "device": device.resolved_description,
        GPU_DRIVER: gpus.get(GPU_DRIVER),
        GPU_POWER_LIMIT: gpus.get(GPU_POWER_LIMIT),
        "power source": machine.power_source,
        "power mode": machine.power_mode,
        "CPU governor": machine.cpu_governor,
        "Python": engine.python,
        **engine.versions,
        **engine.settings,
        **(engine.tuned_settings or {}),
    }
    return {name: value for name, value in known.items() if value is not None}


def _readings(record: Record) -> Iterator[tuple[Reading, float]]:
    limits, calm = record.limits, record.calm
    if limits is not None and limits.steady:
        yield "peak", limits.float32_gflop_per_s
        if limits.triad_gb_per_s is not None:
            yield "bandwidth", limits.triad_gb_per_s
    if calm is not None and calm.foreign_cpu_s and calm.end_s and calm.end_s[-1] > 0:
        yield "foreign", sum(calm.foreign_cpu_s) / calm.end_s[-1]
    span = warm_span(record) if record.sensors else None
    if span is not None:
        yield from _sensed(record, span)


def _sensed(record: Record, span: tuple[float, float]) -> Iterator[tuple[Reading, float]]:
    """Medians of what sensors read while it was warm, and the share of readings that show
    throttling: a level above zero, or a count that grew."""
    for reading, quantity in _SENSED.items():
        for series in _of_trainer(record, quantity):
            values = series.between(*span).values
            if values:
                yield reading, statistics.median(values)
    for series in _of_trainer(record, "throttle_level"):
        values = series.between(*span).values
        if values:
            yield "throttled", sum(value > 0 for value in values) / len(values)
    for series in _of_trainer(record, "throttle_count"):
        values = series.between(*span).values
        if len(values) > 1:
            grew = sum(after > before for before, after in pairwise(values))
            yield "throttled", grew / (len(values) - 1)


def _of_trainer(record: Record, quantity: Quantity) -> list[Series]:
    """Of the device that trained: ``gpu:1`` is ``GPU 1 ...`` of the sensors, where they have it."""
    kind, _, index = (record.device.resolved or "").partition(":")
    of_kind = [each for each in series_of(record, quantity) if kind.upper() in each.scope.split()]
    exact = [each for each in of_kind if index and each.scope.split()[1:2] == [index]]
    return exact or of_kind


def limits_readings(limits: Limits, engine: str, device: str) -> Iterator[tuple[Reading, float]]:
    """What ``epochmark limits`` measured on a node, for runs of this engine on this device."""
    peak, bandwidth = limits.peak(), limits.bandwidth()
    if device == "cpu" and peak is not None and peak.is_steady:
        yield "peak", peak.gflop_per_s.high
        if bandwidth is not None:
            yield "bandwidth", bandwidth.high
    of_engine = limits.of_engine(engine, device)
    if of_engine is not None and of_engine.product is not None:
        yield "product", of_engine.product.timed.per_s.median
    if of_engine is not None and of_engine.input is not None:
        yield "input", of_engine.input.per_s.median
