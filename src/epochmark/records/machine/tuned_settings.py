"""What tuned mode found on this machine: the fastest settings of each engine, and what was tried.

One JSON file beside the results, replaced whole whenever an engine was searched. Nothing in it is
believed: a setting that the engine does not declare (any more) is searched again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from epochmark.records.fields import Count, Date, EngineName, ShortMap, ShortText
from epochmark.records.machine.machine_file import (
    MachineFile,
    decode_document,
    read_document,
    save_document,
)
from epochmark.records.record import Machine

FORMAT = 1
FILE_NAME = "tuned-settings"
"""JSON; without an ending it is no result file."""

Outcome = Literal["kept", "not faster", "failed", "wrong", "not tried"]
StepSeconds = Annotated[float, Meta(gt=0.0, lt=1e6)]
Readings = Annotated[list[StepSeconds], Meta(max_length=20)]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every part of the file: immutable, and strict about unknown fields."""


class Tried(_Part, frozen=True, kw_only=True):
    """One value of one setting, and what came of it.

    ``before_s`` and ``with_s`` are seconds of a step in paired runs with the best settings so far,
    and with this one changed. ``detail`` says why it failed or was wrong.
    """

    setting: ShortText
    value: ShortText
    outcome: Outcome
    before_s: Readings = []
    with_s: Readings = []
    detail: ShortText = ""

    def __post_init__(self) -> None:
        if len(self.before_s) != len(self.with_s):
            raise ValueError("its readings are not pairs")

    @property
    def gains(self) -> list[float]:
        """How many times as fast, of each pair."""
        return [before / then for before, then in zip(self.before_s, self.with_s, strict=True)]


class Tuned(_Part, frozen=True, kw_only=True):
    """The fastest settings found for one workload with one engine on one device.

    ``versions`` are those of the engine's distributions, ``offered`` the settings that it declared
    with their values, stock first. ``settings`` are the departures from stock. ``disturbed`` of the
    ``runs`` of the search were made while other programs were busy.
    """

    measured: Date
    epochmark_version: ShortText
    engine: EngineName
    device: ShortText
    device_description: ShortText
    versions: ShortMap
    workload: ShortText = "mnist-cnn"
    offered: Annotated[
        dict[ShortText, Annotated[list[ShortText], Meta(max_length=20)]], Meta(max_length=50)
    ]
    settings: ShortMap
    runs: Count
    disturbed: Count
    tried: Annotated[list[Tried], Meta(max_length=200)]

    def __post_init__(self) -> None:
        for name, value in self.settings.items():
            if value not in self.offered.get(name, ()):
                raise ValueError(f"its setting {name} was not offered")

    @property
    def what(self) -> tuple[str, str, str]:
        """Workload, engine and device: a machine has one set of settings for each."""
        return self.workload, self.engine, self.device

    def fits(self, other: Tuned) -> bool:
        """Whether a search for ``other`` would be this one again: same workload, engine, device,
        versions and settings offered."""
        alike = ("what", "device_description", "versions", "offered")
        return all(getattr(self, name) == getattr(other, name) for name in alike)


class TunedEngines(MachineFile, frozen=True, kw_only=True):
    """All that was found on one machine."""

    engines: Annotated[list[Tuned], Meta(max_length=500)] = msgspec.field(default_factory=list)


def tuned_file(folder: Path) -> Path:
    """Where it is kept; ``folder`` is that of the result files."""
    return folder / FILE_NAME


def read_tuned(folder: Path, machine: Machine) -> list[Tuned]:
    """What was found on this machine so far. Raises ``EpochmarkError`` when it cannot be read."""
    found = read_document(
        tuned_file(folder),
        decode_tuned,
        "the tuned settings in",
        "Search again with '--retune', which replaces that file.",
    )
    return found.engines if found is not None and found.fits(machine) else []


def decode_tuned(document: bytes) -> TunedEngines:
    """From JSON; ``ValueError`` says why it is none."""
    return decode_document(document, TunedEngines, FORMAT)


def save_tuned(folder: Path, machine: Machine, known: Sequence[Tuned], found: Tuned) -> Path:
    """Replace the file by one with ``found`` instead of what ``known`` has of that workload,
    engine and device. Raises ``EpochmarkError`` when it cannot be written."""
    others = [settings for settings in known if settings.what != found.what]
    document = TunedEngines(format=FORMAT, machine=machine, engines=[*others, found])
    return save_document(tuned_file(folder), document, "the tuned settings")


def settings_text(settings: Mapping[str, str]) -> str:
    """``compile on, memory_format channels_last``; ``as stock`` for none."""
    return ", ".join(f"{name} {value}" for name, value in settings.items()) or "as stock"
