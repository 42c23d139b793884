"""The clock of a run: engines say "a lap ends here", only this reads the time."""

from __future__ import annotations

import threading
import time
from typing import Optional

from epochmark.worker.protocol import EpochEnd, LapEnd, Message, MessagePipe, finite

LAP_INTERVAL_NS = 250_000_000
"""Laps inside an epoch come at most four times a second, so that synchronising costs nothing."""


class RunStopwatch:
    """Implements ``engines.Stopwatch``; every reading is taken before anything is reported.

    Besides regular laps it asks for one before the last step of the first two epochs: the smaller
    batch there compiles again in some engines, and stands alone then, once cold and once warm.
    ``reporting_ns`` is the CPU time that reporting took so far; ``trained_ns`` is when the engine
    said that the training was done, in nanoseconds since the start, if it did. Once ``stop`` is
    set, laps and epochs ask the engine to stop.
    """

    def __init__(self, pipe: MessagePipe, steps_per_epoch: int, stop: threading.Event) -> None:
        self._pipe = pipe
        self._stop = stop
        self._steps_per_epoch = steps_per_epoch
        self._steps = self._asked = 0
        self._epoch = 1
        self._start_ns = self._last_ns = 0
        self.reporting_ns = 0
        self.trained_ns: Optional[int] = None

    def start(self) -> None:
        """Start the clock; the fit begins."""
        self._start_ns = self._last_ns = time.perf_counter_ns()

    def stop(self) -> int:
        """Nanoseconds since the start; the fit has ended."""
        return time.perf_counter_ns() - self._start_ns

    def wants_lap(self) -> bool:
        self._asked += 1
        if self._epoch <= 2 and self._steps + self._asked == self._steps_per_epoch - 1:
            return True
        return time.perf_counter_ns() - self._last_ns >= LAP_INTERVAL_NS

    def lap(
        self, steps: int, loss: Optional[float] = None, accuracy: Optional[float] = None
    ) -> bool:
        self._last_ns = time.perf_counter_ns()
        self._steps, self._asked = self._steps + steps, 0
        self._report(
            LapEnd(
                epoch=self._epoch,
                steps=int(steps),
                end_ns=self._last_ns - self._start_ns,
                loss=finite(loss),
                accuracy=finite(accuracy),
            )
        )
        return not self._stop.is_set()

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        self.lap(steps, loss, accuracy)
        self._report(EpochEnd(self._epoch, finite(loss), finite(accuracy)))
        self._epoch += 1
        self._steps = 0
        return not self._stop.is_set()

    def trained(self) -> None:
        self.trained_ns = time.perf_counter_ns() - self._start_ns

    def _report(self, report: Message) -> None:
        began_ns = time.thread_time_ns()
        self._pipe.send(report)
        self.reporting_ns += time.thread_time_ns() - began_ns
