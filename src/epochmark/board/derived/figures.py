"""The figures of a record that a board stores, sorts and shows: derived, never taken from it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from epochmark.analysis.comparing.comparability import key_of
from epochmark.board.derived.hardware import chip_name, device_kind, hardware_name, slug_of
from epochmark.records.record import Record


@dataclass(frozen=True)
class Figures:
    """One result in columns. ``cell`` stands for comparability key x hardware x kind of device;
    ``engine_family`` is the key's, ``variant`` empty for the workload as specified,
    ``versions`` those of the engine's packages."""

    cell: str
    workload: str
    variant: str
    engine: str
    versions: str
    engine_family: str
    tuning: str
    precision: str
    device_kind: str
    chip: str
    chip_name: str
    hardware: str
    validity: str
    steady_epoch_s: float | None
    steady_epoch_low_s: float | None
    steady_epoch_high_s: float | None
    samples_per_s: float | None
    elapsed_s: float | None
    test_accuracy: float | None
    measured: str


def figures_of(record: Record) -> Figures:
    """The figures of a record that has been decoded, whose headline is derived from its laps."""
    key, headline = key_of(record), record.headline
    chip, hardware, kind = chip_name(record), hardware_name(record), device_kind(record)
    return Figures(
        cell=_cell((*key, hardware, kind)),
        workload=key.workload,
        variant=", ".join(key.variant),
        engine=record.engine.name,
        versions=_versions(record),
        engine_family=key.engine_family,
        tuning=key.tuning,
        precision=key.precision,
        device_kind=kind,
        chip=slug_of(chip),
        chip_name=chip,
        hardware=hardware,
        validity=headline.validity,
        steady_epoch_s=headline.steady_epoch_s,
        steady_epoch_low_s=headline.steady_epoch_low_s,
        steady_epoch_high_s=headline.steady_epoch_high_s,
        samples_per_s=headline.images_per_s,
        elapsed_s=headline.elapsed_s,
        test_accuracy=headline.test_accuracy,
        measured=record.created,
    )


def _versions(record: Record) -> str:
    """Of the framework; the kernels of the native engine come with epochmark."""
    versions = sorted(record.engine.versions.items())
    named = versions or [("epochmark", record.epochmark_version)]
    return ", ".join(f"{name} {version}" for name, version in named)


def _cell(parts: tuple[object, ...]) -> str:
    """A short name for what is equal in all results of a cell."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
