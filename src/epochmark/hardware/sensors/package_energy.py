"""Energy of processor packages and memory: RAPL counters (Intel and AMD) through Linux's powercap.

Zones (Linux, power/powercap): ``package-N`` holds the cores, the graphics inside and the caches;
``dram`` stands beside them though it is listed below its package; ``psys`` is the whole board, the
packages included.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from epochmark.hardware.sensors._contract import (
    ABSENT,
    Channel,
    Sensor,
    SensorInfo,
    UnreadableError,
    number_in,
    text_in,
)

INFO = SensorInfo(
    reads="J of packages, DRAM, whole board",
    source="Linux powercap (RAPL), Intel and AMD",
    needs="root, or the right to read `energy_uj`",
)

MICROJOULES = 1e6
SCOPES = {"package": "CPU packages", "dram": "DRAM", "psys": "whole board, as its firmware counts"}
"""By the beginning of a zone's name."""


def open_sensor(worker: int, root: Path) -> Sensor:
    """Raises ``UnreadableError`` where only root may read: Linux's default since 2020, when the
    counters were found to give secrets away (CVE-2020-8694)."""
    zones = sorted((root / "sys/class/powercap").glob("intel-rapl:*/energy_uj"))
    counters: dict[str, list[_Counter]] = {scope: [] for scope in SCOPES.values()}
    try:
        for file in zones:
            name = (text_in(file.parent / "name") or "").partition("-")[0]
            if name in SCOPES:
                counters[SCOPES[name]].append(_Counter(file))
    except PermissionError as error:
        raise UnreadableError(
            "only root may read the energy counters of this processor (powercap)"
        ) from error
    known = {scope: of_scope for scope, of_scope in counters.items() if of_scope}
    return PackageEnergy(known) if known else ABSENT


@dataclass
class _Counter:
    """One zone's counter, unwrapped: it starts over after ``max_energy_range_uj``."""

    file: Path
    last: float = field(init=False)
    range: float = field(init=False)
    total: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self.range = number_in(self.file.parent / "max_energy_range_uj")
        self.last = number_in(self.file)

    def joules(self) -> float:
        """Since it was opened. Wraps at most once between two readings: the smallest range in
        use, 262 kJ, lasts more than four minutes at 1 kW."""
        now = number_in(self.file)
        self.total += now - self.last if now >= self.last else now + self.range - self.last
        self.last = now
        return self.total / MICROJOULES


class PackageEnergy(Sensor):
    source = "RAPL, powercap"

    def __init__(self, counters: dict[str, list[_Counter]]) -> None:
        self.channels = tuple(Channel("energy", scope) for scope in counters)
        self._counters = list(counters.values())

    def read(self) -> list[float | None]:
        return [sum(counter.joules() for counter in scope) for scope in self._counters]
