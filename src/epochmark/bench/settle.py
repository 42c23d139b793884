"""When is a machine thermally steady? Decided by the launcher, from laps and temperatures.

The rule is in ``analysis.timing.settling`` and docs/measurement/heat-and-energy.md.
"""

from __future__ import annotations

from collections.abc import Callable

from epochmark.analysis.timing.settling import LIMIT_S, is_steady
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.records.record import Lap, SensorLog
from epochmark.worker import protocol

LOOK_INTERVAL_S = 10.0
"""Between two looks at the laps of the last minutes: they take milliseconds of CPU time."""


class SettleStop:
    """Fed with every report of the worker; says whether the fit should end now.

    ``sensor_logs`` gives what the sensors said so far.
    """

    def __init__(
        self, steps_per_epoch: int, sensor_logs: Callable[[], list[SensorLog] | None]
    ) -> None:
        self._steps_per_epoch = steps_per_epoch
        self._sensor_logs = sensor_logs
        self._laps: list[Lap] = []
        self._look_s = 0.0
        self._stopping = False

    def __call__(self, report: protocol.Message) -> bool:
        """True once: when the report is the lap after which the fit should end."""
        if self._stopping or not isinstance(report, protocol.LapEnd):
            return False
        self._laps.append(Lap(epoch=report.epoch, steps=report.steps, end_ns=report.end_ns))
        elapsed_s = report.end_ns / NANOSECONDS
        if elapsed_s >= LIMIT_S:
            self._stopping = True
        elif elapsed_s >= self._look_s:
            self._look_s = elapsed_s + LOOK_INTERVAL_S
            self._stopping = is_steady(self._laps, self._steps_per_epoch, self._temperatures())
        return self._stopping

    def _temperatures(self) -> list[tuple[list[float], list[float]]]:
        return [
            (
                [
                    at
                    for at, value in zip(log.at_s, column.values, strict=True)
                    if value is not None
                ],
                [value for value in column.values if value is not None],
            )
            for log in self._sensor_logs() or []
            for column in log.columns
            if column.quantity == "temperature"
        ]
