"""The clock of a run: engines say "a lap ends here", only this reads the time."""

from __future__ import annotations

import time
from typing import Optional

from epochmark.worker.protocol import EpochEnd, Lap, ReportPipe, finite

LAP_INTERVAL_NS = 250_000_000
"""Laps inside an epoch come at most four times a second, so that synchronising costs nothing."""


class RunStopwatch:
    """Implements ``engines.Stopwatch``; every reading is taken before anything is reported."""

    def __init__(self, pipe: ReportPipe) -> None:
        self._pipe = pipe
        self._epoch = 1
        self._start_ns = self._last_ns = 0

    def start(self) -> None:
        """Start the clock; the fit begins."""
        self._start_ns = self._last_ns = time.perf_counter_ns()

    def stop(self) -> int:
        """Nanoseconds since the start; the fit has ended."""
        return time.perf_counter_ns() - self._start_ns

    def wants_lap(self) -> bool:
        return time.perf_counter_ns() - self._last_ns >= LAP_INTERVAL_NS

    def lap(
        self, steps: int, loss: Optional[float] = None, accuracy: Optional[float] = None
    ) -> bool:
        self._last_ns = time.perf_counter_ns()
        self._pipe.send(
            Lap(
                epoch=self._epoch,
                steps=int(steps),
                end_ns=self._last_ns - self._start_ns,
                loss=finite(loss),
                accuracy=finite(accuracy),
            )
        )
        return True

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        self.lap(steps, loss, accuracy)
        self._pipe.send(EpochEnd(self._epoch, finite(loss), finite(accuracy)))
        self._epoch += 1
        return True
