"""Listen to a worker's reports until it ends, and say how it ended."""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.bench.process.interrupts import interrupted_by, interrupts_now
from epochmark.bench.process.messages import MessageError, ReportReader
from epochmark.bench.process.order import Order
from epochmark.bench.process.own_clock import OwnClock, Presence
from epochmark.bench.process.patience import Patience
from epochmark.bench.process.temporary import temporary_folder
from epochmark.bench.process.worker import READ_BYTES, Worker, read_some
from epochmark.bench.process.worker_process import STDERR_TAIL_BYTES, spawned
from epochmark.bench.watching.watch import Watch
from epochmark.judge.crashes import CRASHES, signal_name
from epochmark.records.record import Calm, LauncherClock, SensorLog
from epochmark.worker.protocol import (
    AnyJob,
    Failed,
    Finished,
    Fitted,
    LapEnd,
    Message,
    Phase,
)

SILENCE_CHECK_S = 5.0
"""How often a silent worker is looked at."""
MAX_OUTPUT_BYTES = 256 << 20
"""Of stdout and stderr: whoever writes more of it measures its printing."""
REST_S = 10.0
"""How long the last reports of a worker on another machine may take after the word that it has
ended. Where its agent was killed, a suspended worker may hold the connection open."""
BUSY_SHARE = 0.05
"""A worker that uses this share of one CPU is computing something."""

Ending = Literal["finished", "failed", "crashed", "hung", "interrupted", "protocol-broken"]
T = TypeVar("T")


@dataclass
class WorkerOutcome:
    """All a worker said, and how it ended. ``stderr`` is the end of its stdout and stderr;
    ``clock`` is what our own clock says of its fit; ``interruption`` what interrupted it."""

    reports: list[Message] = field(default_factory=list)
    ending: Ending = "crashed"
    detail: str = ""
    exit_status: int | None = None
    stderr: bytes = b""
    calm: Calm | None = None
    sensors: list[SensorLog] | None = None
    clock: LauncherClock | None = None
    interruption: KeyboardInterrupt | None = None

    def raise_if_interrupted(self) -> None:
        """Raise what interrupted it, which knows its signal."""
        if self.ending == "interrupted":
            raise self.interruption or KeyboardInterrupt

    def last(self, kind: type[T]) -> T | None:
        """The last report of this kind, if there was one."""
        return next((r for r in reversed(self.reports) if isinstance(r, kind)), None)

    def every(self, kind: type[T]) -> list[T]:
        """All reports of this kind, in order."""
        return [report for report in self.reports if isinstance(report, kind)]


class _SilentError(Exception):
    """Nothing came from the worker for too long."""


@dataclass(frozen=True)
class Recipients:
    """Who gets each report, in this order.

    ``order`` refuses what may not come now, ``watch`` sees from it when the fit begins and ends,
    ``on_report`` is the caller's. When ``wants_stop`` answers with true, the fit is asked to end at
    its next lap.
    """

    order: Order
    watch: Watch
    on_report: Callable[[Message], None]
    wants_stop: Callable[[Message], bool] = lambda report: False


def launch(
    make_job: Callable[[int], AnyJob],
    python: Path,
    environment: Mapping[str, str],
    recipients: Recipients,
    patience_s: float | None = None,
) -> WorkerOutcome:
    """Run one job in a fresh process of the interpreter ``python`` and return what came of it.

    ``make_job`` gets the ``time.monotonic_ns`` of the spawn. Never raises for what a worker does:
    a crash, a hang and Ctrl-C are endings. When this returns, no process of the worker is left.

    Raises ``EpochmarkError`` when there is no room for temporary files, ``OSError`` when the
    interpreter cannot be started.
    """
    outcome = WorkerOutcome()
    watch = recipients.watch
    with (
        temporary_folder("worker") as folder,
        spawned(make_job, python, environment, folder) as worker,
    ):
        try:
            Listener(worker, outcome, recipients, patience_s).hear()
        finally:
            watch.close()
        outcome.exit_status = worker.end(at_once=outcome.ending == "finished")
        outcome.stderr = worker.read_rest_of_stderr(outcome.stderr)
    outcome.calm = watch.calm(outcome.last(Fitted))
    outcome.sensors = watch.sensor_logs()
    return outcome


class Listener:
    """Takes in what a worker says until it ends, breaks the protocol, or is silent for too long."""

    def __init__(
        self,
        worker: Worker,
        outcome: WorkerOutcome,
        recipients: Recipients,
        patience_s: float | None,
    ) -> None:
        now = time.monotonic()
        self._worker, self._outcome, self._recipients = worker, outcome, recipients
        self._is_far = worker.pid is None
        self._reader = ReportReader()
        self._patience = Patience(now, patience_s)
        self._presence = Presence(now)
        self._clock = OwnClock()
        self._empty_at = self._spawned_at = worker.spawned_ns / NANOSECONDS
        self._output_bytes = 0
        self._open = [worker.report_end, worker.stderr_end, worker.exited]
        self._check_s = min(SILENCE_CHECK_S, patience_s / 4) if patience_s else SILENCE_CHECK_S

    def hear(self, until: type[Message] | None = None) -> bool:
        """Listen until a report of that kind comes, which is the answer; what ends it before that,
        Ctrl-C included, is noted in the outcome. Between two calls no silence is counted."""
        now = time.monotonic()
        self._presence.at_work(now)
        self._patience.resume(self._listened_s())
        try:
            with interrupts_now():
                return self._listen(until)
        except KeyboardInterrupt as caught:
            self._outcome.ending, self._outcome.detail = "interrupted", interrupted_by(caught)
            self._outcome.interruption = caught
        except MessageError as error:
            self._outcome.ending, self._outcome.detail = "protocol-broken", str(error)
        except _SilentError as error:
            self._outcome.ending, self._outcome.detail = "hung", str(error)
        return False

    def _listen(self, until: type[Message] | None) -> bool:
        worker, activity = self._worker, _CpuActivity(self._worker)
        with selectors.DefaultSelector() as selector:
            for descriptor in self._open:
                selector.register(descriptor, selectors.EVENT_READ)
            while True:
                began = time.monotonic()
                ready = self._wait(selector)
                now = time.monotonic()
                self._recipients.watch.tick()
                if worker.stderr_end in ready and not self._take_output():
                    self._forget(selector, worker.stderr_end)
                if worker.report_end in ready:
                    data = read_some(worker.report_end, is_far=self._is_far)
                    if not data:
                        self._forget(selector, worker.report_end)
                    heard = len(self._outcome.reports)
                    self._take_reports(data, now)
                    # less than asked for, so the pipe is empty: what comes next is sent later
                    if len(data) < READ_BYTES:
                        self._empty_at = now
                    if any(type(report) is until for report in self._outcome.reports[heard:]):
                        return True
                elif worker.exited in ready:
                    # not before: what it reported until its end must still be heard
                    self._take_rest()
                    _conclude(worker, self._outcome)
                    return False
                else:
                    # no report ended the wait, so the pipe was still empty when it began
                    self._empty_at = began
                self._check_silence(activity)

    def _take_rest(self) -> None:
        """From another machine its last reports may come after the word that it has ended; its
        connection ends then, or is lost. Of a pipe here others may still hold the other end."""
        if not self._is_far or self._worker.report_end not in self._open:
            return
        deadline = time.monotonic() + REST_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._worker.report_end, selectors.EVENT_READ)
            while selector.select(max(0.0, deadline - time.monotonic())):
                data = read_some(self._worker.report_end, is_far=True)
                if not data:
                    return
                self._take_reports(data, time.monotonic())

    def _forget(self, selector: selectors.BaseSelector, descriptor: int) -> None:
        """Nothing more will come from it."""
        selector.unregister(descriptor)
        self._open.remove(descriptor)

    def _wait(self, selector: selectors.BaseSelector) -> set[int]:
        """What can be read. While we were stopped the worker may have gone on; a wait that this has
        interrupted says nothing of it."""
        wait_s = min(self._check_s, self._recipients.watch.wait_s())
        self._presence.at_work(time.monotonic())
        self._presence.waits(wait_s)
        ready = {key.fd for key, _ in selector.select(wait_s)}
        self._presence.at_work(time.monotonic())
        return ready

    def _take_output(self) -> bool:
        """Keep the end of what it prints; False when there will be no more."""
        data = read_some(self._worker.stderr_end, is_far=self._is_far)
        self._outcome.stderr = (self._outcome.stderr + data)[-STDERR_TAIL_BYTES:]
        self._output_bytes += len(data)
        if self._output_bytes > MAX_OUTPUT_BYTES:
            raise MessageError(f"it printed more than {MAX_OUTPUT_BYTES >> 20} MiB")
        return bool(data)

    def _take_reports(self, data: bytes, now: float) -> None:
        for report in self._reader.feed(data):
            self._recipients.order.take(report, time.monotonic() - self._spawned_at)
            self._clock.on_report(report, self._empty_at, now, self._presence.absent_s)
            begins_phase = isinstance(report, Phase)
            self._patience.report(self._listened_s(), isinstance(report, LapEnd), begins_phase)
            self._outcome.reports.append(report)
            self._outcome.clock = self._clock.seen
            self._recipients.watch.on_report(report, self._worker.pid or 0)
            self._recipients.on_report(report)
            # last, so that whoever decides sees a report that everyone has accepted
            if self._recipients.wants_stop(report):
                self._worker.ask_to_stop()

    def _listened_s(self) -> float:
        """Our clock, without the time in which we did not listen ourselves."""
        return time.monotonic() - self._presence.absent_s

    def _check_silence(self, activity: _CpuActivity) -> None:
        """Raises ``_SilentError`` when it has been silent for too long."""
        silence_s = self._patience.silence_s(self._listened_s())
        if silence_s >= self._check_s and silence_s > self._patience.limit_s(activity.is_busy()):
            raise _SilentError(f"no report from the worker for {silence_s:.0f} s")


def _conclude(worker: Worker, outcome: WorkerOutcome) -> None:
    """The worker exited by itself: say how."""
    status = worker.wait()
    failed = outcome.last(Failed)
    if failed is not None:
        outcome.ending, outcome.detail = "failed", f"{failed.exception}: {failed.message}"
    elif outcome.last(Finished) is not None and status == 0:
        outcome.ending = "finished"
    elif isinstance(status, str):
        outcome.detail = status
    elif status < 0:
        name = signal_name(status)
        meaning = CRASHES.get(name)
        outcome.detail = f"killed by {name}" if meaning is None else f"crashed: {name}, {meaning}"
    else:
        outcome.detail = f"ended with exit status {status} before its report was complete"


class _CpuActivity:
    """Whether the worker's processes computed anything since the last look."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._last = (time.monotonic(), 0.0)
        self._busy = True

    def is_busy(self) -> bool:
        now = time.monotonic()
        then, cpu_then = self._last
        # a shorter span measures the ticks in which the kernel counts
        if now - then < 0.5:
            return self._busy
        cpu = self._worker.cpu_seconds()
        self._last = (now, cpu)
        self._busy = cpu - cpu_then > BUSY_SHARE * (now - then)
        return self._busy
