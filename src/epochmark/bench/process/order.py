"""Which report of a worker may come when, and how many of them: what breaks it is not believed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from epochmark.bench.process.messages import MessageError
from epochmark.records.fields import MAX_LAPS
from epochmark.worker.protocol import (
    Continued,
    DevicePart,
    EpochEnd,
    Failed,
    Figure,
    Finished,
    Fitted,
    Hello,
    LapEnd,
    Message,
    Observed,
    Opened,
    Parked,
    Phase,
    Replayed,
    SplitReplayed,
    UsedSettings,
)
from epochmark.workloads._proof.replay_data import REPLAY_STEPS, SGD_STEPS

LAPS_PER_S = 4.0
"""What a stopwatch asks for at most inside an epoch; each epoch ends with one more."""
LAPS_BESIDES = 20
"""Those before the last step of the first epochs, and those that were on their way."""
MOST_STEPS = 2
"""A fit that makes a few steps too many is judged as such; one of twice as many may never end."""
CLOCK_S = 1.0
"""A start-up may seem so much longer than the time since the worker was started."""

RUN = (
    Hello, "starting", Opened, "loading", "building", "training", Fitted, "checking", Observed,
    Continued, Replayed, Finished,
)  # fmt: skip
"""What a run reports, once each and in this order, phases by name. Laps and the ends of epochs come
between ``training`` and ``Fitted``; ``Failed`` may take the place of anything, and is the last."""
OPTIONAL = (Continued, Figure)
"""A trial of tuned settings leaves the first out, a single device the second."""


def scale_reports(devices: int) -> tuple[object, ...]:
    """The same of a data-parallel training on a number of devices."""
    return (
        *RUN[: RUN.index(Observed)], UsedSettings, *[DevicePart] * devices, SplitReplayed, Figure,
        Finished,
    )  # fmt: skip


class Order(Protocol):
    """Sees every report before anyone else does."""

    def take(self, report: Message, running_s: float) -> None:
        """``running_s`` is how long ago the worker was started. Raises ``MessageError`` when the
        report may not come now."""


class RunOrder:
    """The order of a run of that many ``epochs`` of ``steps_per_epoch``."""

    reports: tuple[object, ...] = RUN

    def __init__(self, epochs: int, steps_per_epoch: int) -> None:
        self._epochs, self._steps = epochs, epochs * steps_per_epoch
        self._came = 0
        self._laps = self._made = self._epochs_ended = 0
        self._last_ns = 0
        self._within_epoch = False

    def take(self, report: Message, running_s: float) -> None:
        if self._came == len(self.reports):
            raise MessageError(f"{_name(report)} after the end")
        if isinstance(report, Failed):
            self._came = len(self.reports)
        elif isinstance(report, (LapEnd, EpochEnd)):
            self._take_progress(report, running_s)
        else:
            self._take_next(report, running_s)

    @property
    def is_training(self) -> bool:
        """Whether laps may come now."""
        return self._came < len(self.reports) and self.reports[self._came] is Fitted

    def _take_next(self, report: Message, running_s: float) -> None:
        if self.reports[self._came] in OPTIONAL and type(report) is not self.reports[self._came]:
            self._came += 1
        due = self.reports[self._came]
        came = report.name if isinstance(report, Phase) else type(report)
        if came != due:
            wanted = due if isinstance(due, str) else getattr(due, "__name__", due)
            raise MessageError(f"{_name(report)} came instead of {wanted}")
        self._came += 1
        if isinstance(report, Fitted):
            self._check_fit(report, running_s)
        elif isinstance(report, Replayed):
            _check_replay(report.losses, report.sgd_losses)

    def _check_fit(self, fitted: Fitted, running_s: float) -> None:
        trained_ns = fitted.fit_ns if fitted.trained_ns is None else fitted.trained_ns
        if not self._last_ns <= trained_ns <= fitted.fit_ns:
            raise MessageError("a fit that ended before its training or its last lap")
        if fitted.startup_s > running_s + CLOCK_S:
            raise MessageError("a start-up longer than the worker has existed")

    def _take_progress(self, report: LapEnd | EpochEnd, running_s: float) -> None:
        if not self.is_training:
            raise MessageError(f"{_name(report)} outside the training")
        if report.epoch > self._epochs:
            raise MessageError(f"epoch {report.epoch} of {self._epochs}")
        if report.epoch != self._epochs_ended + 1:
            raise MessageError(f"{_name(report)} of epoch {report.epoch} in another epoch")
        if isinstance(report, LapEnd):
            self._check_lap(report, running_s)
        elif not self._within_epoch:
            raise MessageError(f"epoch {report.epoch} ended without a lap")
        else:
            self._epochs_ended += 1
        self._within_epoch = isinstance(report, LapEnd)

    def _check_lap(self, lap: LapEnd, running_s: float) -> None:
        if lap.end_ns <= self._last_ns:
            raise MessageError(
                f"a lap ended at {lap.end_ns} ns, the one before at {self._last_ns} ns"
            )
        self._made += lap.steps
        if self._made > MOST_STEPS * self._steps:
            raise MessageError(f"{self._made} steps, the run has {self._steps}")
        self._last_ns = lap.end_ns
        self._laps += 1
        honest = LAPS_PER_S * running_s + self._epochs_ended + LAPS_BESIDES
        if self._laps > min(honest, MAX_LAPS):
            raise MessageError(f"{self._laps} laps in {running_s:.1f} s")


class RaceOrder(RunOrder):
    """The same of an entry in a race: it parks between laps, at least a lap after it parked before,
    and says nothing until it may go on (``take_turn``)."""

    def __init__(self, epochs: int, steps_per_epoch: int) -> None:
        super().__init__(epochs, steps_per_epoch)
        self._parked = False
        self._laps_parked = 0

    def take_turn(self) -> None:
        self._parked = False

    def take(self, report: Message, running_s: float) -> None:
        if self._parked:
            raise MessageError(f"{_name(report)} while parked")
        if not isinstance(report, Parked):
            super().take(report, running_s)
            return
        if not self.is_training:
            raise MessageError("Parked outside the training")
        if self._laps == self._laps_parked:
            raise MessageError("Parked without a lap since it parked before")
        self._parked, self._laps_parked = True, self._laps


class ScaleOrder(RaceOrder):
    """The same of a data-parallel training on a number of ``devices``: it has ``steps`` at most, in
    one stretch, and two replays."""

    def __init__(self, steps: int, devices: int) -> None:
        super().__init__(1, steps)
        self.reports = scale_reports(devices)

    def take(self, report: Message, running_s: float) -> None:
        super().take(report, running_s)
        if isinstance(report, SplitReplayed):
            _check_replay(report.adam, report.sgd)


def _check_replay(losses: Sequence[object], sgd_losses: Sequence[object]) -> None:
    for found, steps in ((losses, REPLAY_STEPS), (sgd_losses, SGD_STEPS)):
        if len(found) != steps:
            raise MessageError(f"{len(found)} replayed losses, but there are {steps} steps")


def _name(report: Message) -> str:
    kind = type(report).__name__
    return f"{kind} {report.name[:40]!r}" if isinstance(report, Phase) else kind
