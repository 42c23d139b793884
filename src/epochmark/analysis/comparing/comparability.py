"""What may be ranked against what: only runs with one and the same key."""

from __future__ import annotations

from typing import NamedTuple

from epochmark.records.record import Record


class ComparabilityKey(NamedTuple):
    """Ranks and ratios of machines exist only inside one of these."""

    workload: str
    variant: tuple[str, ...]
    precision: str
    tuning: str
    engine_family: str

    def __str__(self) -> str:
        variant = f" ({', '.join(self.variant)})" if self.variant else ""
        return f"{self.workload}{variant}, {self.engine_family} {self.tuning}, {self.precision}"


def key_of(record: Record) -> ComparabilityKey:
    """The key of a record; the native engine's kernel version is part of its family."""
    family = record.engine.family
    kernel = record.engine.settings.get("kernel_version")
    return ComparabilityKey(
        workload=f"{record.workload.name} v{record.workload.version}",
        variant=tuple(record.workload.variant),
        precision=record.precision.observed or "precision not observed",
        tuning=record.engine.tuning,
        engine_family=f"{family} kernels {kernel}" if kernel else family,
    )
