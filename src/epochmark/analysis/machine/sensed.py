"""What the sensors of a record say: columns by quantity, energy per epoch, power supply.

Rules, thresholds and sources are in docs/measurement/heat-and-energy.md.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np

from epochmark.analysis.timing.headline import steady_of, steps_per_epoch
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.records.fields import Quantity
from epochmark.records.record import Record

MIN_ENERGY_S = 60.0
"""Samples must span so much of the warm part; shorter spans show the power of the moment."""
MIN_POWER_VALUES = 20
"""Power is integrated from as many values at least; an energy counter needs its two ends."""
BREAK_S = 10.0
"""A counter that does not grow for so long has stalled: what trains takes energy all the time."""
BREAK_INTERVALS = 2.5
"""Readings further apart than this many usual intervals, and than ``BREAK_S``, have a gap between
them. One reading left out makes none; a stall, of three intervals at least, always does."""


@dataclass(frozen=True)
class Series:
    """One quantity of one part of the machine: the readings that have a value, in order of time."""

    quantity: Quantity
    unit: str
    scope: str
    source: str
    at_s: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def part(self) -> str:
        """``CPU``, ``GPU`` ...: the first word of the scope."""
        return self.scope.split()[0] if self.scope.split() else ""

    @property
    def model(self) -> str:
        """What a scope like ``GPU 0 NVIDIA ...`` calls its GPU; empty for other scopes."""
        words = self.scope.split(" ", 2)
        return words[2] if words[0] == "GPU" and len(words) == 3 else ""

    def between(self, start_s: float, end_s: float) -> Series:
        """The readings of this time only."""
        kept = [
            (at, value)
            for at, value in zip(self.at_s, self.values, strict=True)
            if start_s <= at <= end_s
        ]
        times, values = zip(*kept, strict=True) if kept else ((), ())
        return Series(self.quantity, self.unit, self.scope, self.source, times, values)


@dataclass(frozen=True)
class Energy:
    """Joules per epoch of the part of the machine that ``scope`` names, no more and no less.

    ``lasted_s``: the time the samples span.
    """

    joules_per_epoch: float
    watts: float
    scope: str
    source: str
    lasted_s: float


def series_of(record: Record, *quantities: Quantity) -> Iterator[Series]:
    """All columns of these quantities that have any reading."""
    for log in record.sensors or []:
        for column in log.columns:
            kept = [
                (at, value)
                for at, value in zip(log.at_s, column.values, strict=True)
                if value is not None
            ]
            if column.quantity in quantities and kept:
                times, values = zip(*kept, strict=True)
                yield Series(column.quantity, column.unit, column.scope, log.source, times, values)


def energy_of(record: Record) -> list[Energy]:
    """Energy per warm epoch of each part of the machine that reports it; never zero.

    Joules over the epochs trained in that time, in the longest stretch of the warm part without a
    gap or a stall, if that lasts ``MIN_ENERGY_S``. Where a part reports both, its energy counter
    goes before its power.
    """
    span = warm_span(record)
    if span is None:
        return []
    found: dict[str, Energy] = {}
    for quantity in ("energy", "power"):
        for series in series_of(record, quantity):
            energy = _energy(record, _unbroken(series.between(*span)))
            if energy is not None:
                found.setdefault(series.scope, energy)
    return list(found.values())


def warm_span(record: Record) -> tuple[float, float] | None:
    """When the warm part of the fit begins and ends, seconds of its clock."""
    steady = steady_of(record)
    if steady is None or not record.timing.laps:
        return None
    return steady.warm_up_s, record.timing.laps[-1].end_ns / NANOSECONDS


def _unbroken(series: Series) -> Series:
    """Its longest stretch without a gap and, of a counter, without a stall."""
    usual_s = statistics.median([after - at for at, after in pairwise(series.at_s)] or [0.0])
    gap_s = max(BREAK_S, BREAK_INTERVALS * usual_s)
    # power may stay the same for long; a counter that does has stalled
    times = _unstalled(series) if series.quantity == "energy" else list(series.at_s)
    starts = [n for n, (at, after) in enumerate(pairwise(times), 1) if after - at > gap_s]
    stretches = [times[start:end] for start, end in pairwise([0, *starts, len(times)])]
    longest = max(stretches, key=lambda stretch: stretch[-1] - stretch[0] if stretch else 0.0)
    return series.between(longest[0], longest[-1]) if longest else series.between(math.inf, 0.0)


def _unstalled(series: Series) -> list[float]:
    """The times at which a counter was not standing still."""
    readings = groupby(zip(series.at_s, series.values, strict=True), key=lambda reading: reading[1])
    plateaus = ([at for at, _ in same] for _, same in readings)
    return [at for same in plateaus if same[-1] - same[0] < BREAK_S for at in same]


def _energy(record: Record, series: Series) -> Energy | None:
    joules = _joules(series)
    if joules is None or joules <= 0 or series.at_s[-1] - series.at_s[0] < MIN_ENERGY_S:
        return None
    lasted_s = series.at_s[-1] - series.at_s[0]
    epochs = _epochs_at(record, series.at_s[-1]) - _epochs_at(record, series.at_s[0])
    if epochs <= 0 or not math.isfinite(joules / epochs):
        return None
    return Energy(joules / epochs, joules / lasted_s, series.scope, series.source, lasted_s)


def _joules(series: Series) -> float | None:
    """Growth of a counter; of power the integral by the trapezoidal rule."""
    if len(series.values) < 2:
        return None
    if series.quantity == "energy":
        return series.values[-1] - series.values[0]
    if len(series.values) < MIN_POWER_VALUES:
        return None
    pairs = pairwise(zip(series.at_s, series.values, strict=True))
    return sum((later - at) * (watts + after) / 2 for (at, watts), (later, after) in pairs)


def _epochs_at(record: Record, at_s: float) -> float:
    """Epochs trained when the clock showed this, steps inside a lap taken as equally long."""
    laps = record.timing.laps
    ends_s = [0.0, *(lap.end_ns / NANOSECONDS for lap in laps)]
    steps = np.cumsum([0, *(lap.steps for lap in laps)], dtype=np.float64)
    return float(np.interp(at_s, ends_s, steps)) / steps_per_epoch(record.workload)


def why_no_energy(record: Record) -> str:
    """Why a record that asked its sensors has no energy, in words."""
    reasons = [
        problem
        for log in record.sensors or []
        for problem in log.problems
        if "energy" in log.sensor or "energy" in problem
    ]
    if list(series_of(record, "energy", "power")):
        return (
            f"it takes {MIN_ENERGY_S:.0f} s of gapless samples at steady speed from a "
            "counter that moves"
        )
    return reasons[0] if reasons else "this machine has no sensor for it, or does not show it"


def use_of_gpu(record: Record) -> list[Series]:
    """How busy the GPU was that trained, in percent: of all GPUs here that bear its name, since
    engines and drivers number them differently. Empty where no sensor knows it."""
    described = record.device.resolved_description or ""
    return [
        series
        for series in series_of(record, "utilisation")
        if series.model and series.model in described
    ]


def memory_on_gpu(record: Record) -> float | None:
    """The most bytes that the worker's processes held on any GPU; None where none was seen."""
    held = [value for series in series_of(record, "memory") for value in series.values]
    return max(held, default=None)


def on_battery(record: Record) -> bool | None:
    """Whether the run went on without mains all the time; None when that changed or is not known.

    Without a sensor it is what the machine said before the run.
    """
    seen = {value for series in series_of(record, "mains") for value in series.values}
    if not seen:
        source = record.machine.power_source
        return None if source is None else source == "battery"
    return None if len(seen) > 1 else seen == {0.0}
