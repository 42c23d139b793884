"""The clock of a run: engines say "a lap ends here", only this reads the time."""

from __future__ import annotations

import threading
import time
from typing import Optional

from epochmark.worker.protocol import GO_ON, EpochEnd, LapEnd, Message, MessagePipe, Parked, finite

LAP_INTERVAL_NS = 250_000_000
"""Laps inside an epoch come at most four times a second, so that synchronising costs nothing."""

TURN_NS = 500_000_000
"""A turn of a race ends at the first step after this, the device waited for: short beside the
seconds in which shared hosts change their speed, long beside what going on costs."""
FIRST_PART_NS = 50_000_000
"""A lap of its own at the beginning of a turn, in which caches are filled again after the others
had theirs."""
MOST_WARM_UP_NS = 60_000_000_000
"""An entry is warm some steps into its second epoch, or after this long: the last batch of the
first may be smaller and compile again, and what begins an epoch takes Keras seconds."""


class Word:
    """What the launcher said last: to ``stop``, or to ``go_on`` with the next turn. Of several
    processes that train together, the first says to the others how many ``steps`` come next."""

    def __init__(self) -> None:
        self.stop, self.go_on = threading.Event(), threading.Event()
        self.steps = 0

    def hear(self, said: bytes) -> None:
        """Take in what was said, as a thread of its own."""
        if said.strip().isdigit():
            self.steps = int(said)
        elif said != GO_ON:
            self.stop.set()
        self.go_on.set()

    def wait(self) -> None:
        """Until something is said."""
        self.go_on.wait()
        self.go_on.clear()


class RunStopwatch:
    """Implements ``engines.Stopwatch``; every reading is taken before anything is reported.

    Besides regular laps it asks for one before the last step of the first two epochs: the smaller
    batch there compiles again in some engines, and stands alone then, once cold and once warm.
    ``reporting_ns`` is the CPU time that reporting took so far; ``trained_ns`` is when the engine
    said that the training was done, in nanoseconds since the start, if it did. Once the ``word`` is
    to stop, laps and epochs ask the engine to stop.
    """

    def __init__(self, pipe: MessagePipe, steps_per_epoch: int, word: Word) -> None:
        self._pipe = pipe
        self._word = word
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
        self._end_lap(steps, loss, accuracy)
        return self._goes_on()

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        self._end_lap(steps, loss, accuracy)
        self._report(EpochEnd(self._epoch, finite(loss), finite(accuracy)))
        self._epoch += 1
        self._steps = 0
        return self._goes_on()

    def trained(self) -> None:
        self.trained_ns = time.perf_counter_ns() - self._start_ns

    def _end_lap(self, steps: int, loss: Optional[float], accuracy: Optional[float]) -> None:
        self._last_ns = self._now_ns()
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

    def _now_ns(self) -> int:
        """When the lap ended that ends here."""
        return time.perf_counter_ns()

    def _goes_on(self) -> bool:
        """Whether the training goes on after this lap."""
        return not self._word.stop.is_set()

    def _report(self, report: Message) -> None:
        began_ns = time.thread_time_ns()
        self._pipe.send(report)
        self.reporting_ns += time.thread_time_ns() - began_ns


class TurnStopwatch(RunStopwatch):
    """The clock of an entry in a race: it parks the training once it is warm and after every turn,
    and leaves out the time until the launcher lets it go on.

    Engines wait for their device before each lap, so nothing is in flight while they are parked.
    """

    def __init__(self, pipe: MessagePipe, steps_per_epoch: int, word: Word) -> None:
        super().__init__(pipe, steps_per_epoch, word)
        self._turn_began_ns: Optional[int] = None
        self._is_first_part = False

    def wants_lap(self) -> bool:
        if self._turn_began_ns is None:
            return super().wants_lap()
        turn_ns = time.perf_counter_ns() - self._turn_began_ns
        return turn_ns >= (FIRST_PART_NS if self._is_first_part else TURN_NS)

    def _goes_on(self) -> bool:
        if self._may_park() and super()._goes_on():
            self._park()
        elif self._turn_began_ns is not None:
            self._is_first_part = self._last_ns - self._turn_began_ns < FIRST_PART_NS
        return super()._goes_on()

    def _may_park(self) -> bool:
        if self._turn_began_ns is None:
            second = self._epoch > 2 or (self._epoch == 2 and self._steps > 0)
            return second or self._last_ns - self._start_ns >= MOST_WARM_UP_NS
        return self._last_ns - self._turn_began_ns >= TURN_NS

    def _park(self) -> None:
        self._report(Parked())
        self._word.wait()
        now_ns = time.perf_counter_ns()
        self._start_ns += now_ns - self._last_ns
        self._last_ns = self._turn_began_ns = now_ns
        self._is_first_part = True
