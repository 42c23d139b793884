"""The engines of a machine as rows of text, with what is wrong and what helps below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

ENGINE_COLUMNS = ("engine", "state", "where", "devices", "versions")

_WHERE = {"own": "this interpreter", "managed": "environment", "foreign": "other interpreter"}


class _Device(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def description(self) -> str: ...


class Status(Protocol):
    """What is shown of ``bench.interpreters.probe.EngineStatus``."""

    @property
    def engine(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def where(self) -> str | None: ...
    @property
    def environment(self) -> str | None: ...
    @property
    def versions(self) -> Mapping[str, str]: ...
    @property
    def devices(self) -> Sequence[_Device]: ...
    @property
    def problem(self) -> str | None: ...
    @property
    def remedy(self) -> str | None: ...
    @property
    def asked(self) -> str | None: ...
    @property
    def other_versions(self) -> Mapping[str, str]: ...


def engine_rows(statuses: Sequence[Status]) -> list[tuple[str, ...]]:
    """One row per engine, in ``ENGINE_COLUMNS``."""
    return [
        (
            status.engine,
            status.state,
            _where(status),
            ", ".join(device.id for device in status.devices) or "-",
            ", ".join(f"{name} {version}" for name, version in status.versions.items()) or "-",
        )
        for status in statuses
    ]


def _where(status: Status) -> str:
    if status.environment is not None:
        return f"environment {status.environment}"
    return _WHERE.get(status.where or "", "-")


def engine_notes(statuses: Sequence[Status]) -> list[str]:
    """Lines for what does not work, the problem and below it what helps; and for versions with
    environments of their own."""
    lines = []
    for status in statuses:
        for version, name in status.other_versions.items():
            lines.append(f"{status.engine}@{version}: environment {name}")
        if status.problem:
            lines.append(f"{status.engine}: {status.problem}")
        if status.remedy:
            lines.extend(f"  {line}" for line in status.remedy.splitlines())
    return lines


def device_lines(statuses: Sequence[Status]) -> list[str]:
    """Every device that each ready engine can train on, aligned."""
    ready = [status for status in statuses if status.state == "ready"]
    width = max((len(status.engine) for status in ready), default=0)
    id_width = max((len(d.id) for status in ready for d in status.devices), default=0)
    return [
        f"{status.engine:<{width}}  {device.id:<{id_width}}  {device.description}".rstrip()
        for status in ready
        for device in status.devices
    ]


def asked_note(statuses: Sequence[Status]) -> str | None:
    """How old the oldest of these answers is; None where all engines were asked just now."""
    dates = sorted(status.asked for status in statuses if status.asked is not None)
    if not dates:
        return None
    return f"Devices as the engines listed them on {dates[0][:10]}; --refresh asks them again."
