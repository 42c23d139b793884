"""The launcher's own clock: when reports came, and when it was not there itself to see them."""

from __future__ import annotations

from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.records.record import LauncherClock
from epochmark.worker.protocol import Fitted, LapEnd, Message, Phase

ABSENCE_S = 2.0
"""Waking up this much later than asked, or being busy with one report for so long: unheard. A
busy machine keeps a process waiting for some tenths of a second."""


class Presence:
    """Finds the stretches in which this process did not listen: stopped by job control, kept from
    running, or held up by who reads its output. Times are seconds of a monotonic clock."""

    def __init__(self, now: float) -> None:
        self._expected = now
        self.absent_s = 0.0

    def at_work(self, now: float) -> None:
        """It is about to wait, or has just woken up."""
        late = now - self._expected
        if late > ABSENCE_S:
            self.absent_s += late
        self._expected = now

    def waits(self, wait_s: float) -> None:
        """It will be back in ``wait_s`` at the latest."""
        self._expected += wait_s


class OwnClock:
    """What our clock says of the fit, from when its reports can have been sent: not before the pipe
    was last seen empty, and not after they were read. Both clocks are the machine's monotonic one,
    so an honest worker's laps lie between these limits but for the time it needs to report them."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None
        self._absent_s = self._gap_s = 0.0
        self.seen: LauncherClock | None = None

    def on_report(self, report: Message, earliest: float, latest: float, absent_s: float) -> None:
        """``report`` was sent between these moments; until now we were absent so long."""
        if isinstance(report, Phase) and report.name == "training":
            self._began, self._absent_s = (earliest, latest), absent_s
        elif self._began is not None and isinstance(report, (LapEnd, Fitted)):
            low_s, high_s = earliest - self._began[1], latest - self._began[0]
            if isinstance(report, LapEnd):
                said_s = report.end_ns / NANOSECONDS
                self._gap_s = max(self._gap_s, said_s - high_s, low_s - said_s)
            else:
                self.seen = LauncherClock(
                    fit_low_ns=max(0, round(low_s * NANOSECONDS)),
                    fit_high_ns=round(high_s * NANOSECONDS),
                    lap_gap_ns=round(self._gap_s * NANOSECONDS),
                    absent_s=round(absent_s - self._absent_s, 3),
                )
