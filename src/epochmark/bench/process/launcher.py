"""Start one worker, listen to its reports, and make sure that nothing of it is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import psutil

from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.bench.process.importable import with_our_package
from epochmark.bench.process.interrupts import interrupted_by, interrupts_now
from epochmark.bench.process.messages import MessageError, ReportReader
from epochmark.bench.process.order import Order
from epochmark.bench.process.own_clock import OwnClock, Presence
from epochmark.bench.process.patience import Patience
from epochmark.bench.process.temporary import telling_where, temporary_folder
from epochmark.bench.watching.watch import Watch
from epochmark.hardware.processes import cpu_seconds, descendants
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
    encode_job,
)

KILL_GRACE_S = 3.0
SILENCE_CHECK_S = 5.0
"""How often a silent worker is looked at."""
STDERR_TAIL_BYTES = 1 << 18
MAX_OUTPUT_BYTES = 256 << 20
"""Of stdout and stderr: whoever writes more of it measures its printing."""
READ_BYTES = 1 << 16
PIPE_BYTES = 1 << 20
"""Half an hour of laps. What Linux allows everybody."""
BUSY_SHARE = 0.05
"""A worker that uses this share of one CPU is computing something."""

Ending = Literal["finished", "failed", "crashed", "hung", "interrupted", "protocol-broken"]
T = TypeVar("T")


@dataclass
class WorkerOutcome:
    """All a worker said, and how it ended. ``stderr`` is the end of its stdout and stderr;
    ``clock`` is what our own clock says of its fit."""

    reports: list[Message] = field(default_factory=list)
    ending: Ending = "crashed"
    detail: str = ""
    exit_status: int | None = None
    stderr: bytes = b""
    calm: Calm | None = None
    sensors: list[SensorLog] | None = None
    clock: LauncherClock | None = None

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
        _spawn(make_job, python, environment, folder) as worker,
    ):
        try:
            with interrupts_now():
                _Listener(worker, outcome, recipients, patience_s).listen()
        except KeyboardInterrupt as caught:
            outcome.ending, outcome.detail = "interrupted", interrupted_by(caught)
        except MessageError as error:
            outcome.ending, outcome.detail = "protocol-broken", str(error)
        except _SilentError as error:
            outcome.ending, outcome.detail = "hung", str(error)
        finally:
            watch.close()
        outcome.exit_status = _end(worker.process, at_once=outcome.ending == "finished")
        outcome.stderr = worker.read_rest_of_stderr(outcome.stderr)
    outcome.calm = watch.calm(outcome.last(Fitted))
    outcome.sensors = watch.sensor_logs()
    return outcome


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    spawned_ns: int
    report_end: int
    stderr_end: int
    exited: int

    def ask_to_stop(self) -> None:
        """Ask the fit to end at its next lap."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(b"stop\n")
            self.process.stdin.flush()

    def read_rest_of_stderr(self, tail: bytes) -> bytes:
        """The tail with all that is still in the pipe; everyone who could write is dead."""
        os.set_blocking(self.stderr_end, False)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.stderr_end, READ_BYTES):
                tail = (tail + data)[-STDERR_TAIL_BYTES:]
        return tail


@contextlib.contextmanager
def _spawn(
    make_job: Callable[[int], AnyJob], python: Path, environment: Mapping[str, str], folder: Path
) -> Iterator[_Worker]:
    """The worker process, in a session of its own so that Ctrl-C reaches only us.

    Only our package is made importable there (``bench.process.importable``). Our end of its
    standard input stays open as long as we live; its end shows it that we died.
    """
    with telling_where(folder.parent):
        environment = with_our_package(folder, environment)
    with contextlib.ExitStack() as descriptors:
        report_end, report_write = _pipe(descriptors)
        stderr_end, stderr_write = _pipe(descriptors)
        exited, exited_write = _pipe(descriptors)
        spawned_ns = time.monotonic_ns()
        process = subprocess.Popen(
            [str(python), "-m", "epochmark.worker", str(report_write)],
            stdin=subprocess.PIPE,
            stdout=stderr_write,
            stderr=stderr_write,
            pass_fds=[report_write],
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        # as long as we hold a write end, the worker's death does not end the pipe
        for descriptor in (report_write, stderr_write):
            os.close(descriptor)
        assert process.stdin is not None
        descriptors.callback(_close_quietly, process.stdin)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(encode_job(make_job(spawned_ns)))
            process.stdin.flush()
        # a selector cannot wait for a process; the end of a pipe it can
        waiter = threading.Thread(target=_signal_exit, args=(process, exited_write), daemon=True)
        waiter.start()
        descriptors.callback(waiter.join)
        try:
            yield _Worker(process, spawned_ns, report_end, stderr_end, exited)
        finally:
            _end(process, at_once=True)


def _pipe(descriptors: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe with room for what a worker says while we are stopped: else it would wait for us."""
    read, write = os.pipe()
    descriptors.callback(_close_descriptor, read)
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # the user's pipes have used up their share
            fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    return read, write


def _close_descriptor(descriptor: int) -> None:
    with contextlib.suppress(OSError):
        os.close(descriptor)


def _close_quietly(stream: object) -> None:
    with contextlib.suppress(OSError):
        stream.close()  # type: ignore[attr-defined]


def _signal_exit(process: subprocess.Popen[bytes], exited_write: int) -> None:
    """Wait for the worker (as a thread) and make its end visible to the selector."""
    process.wait()
    os.close(exited_write)


class _Listener:
    """Takes in what a worker says until it ends, breaks the protocol, or is silent for too long."""

    def __init__(
        self,
        worker: _Worker,
        outcome: WorkerOutcome,
        recipients: Recipients,
        patience_s: float | None,
    ) -> None:
        now = time.monotonic()
        self._worker, self._outcome, self._recipients = worker, outcome, recipients
        self._reader = ReportReader()
        self._patience = Patience(now, patience_s)
        self._presence = Presence(now)
        self._clock = OwnClock()
        self._empty_at = self._spawned_at = worker.spawned_ns / NANOSECONDS
        self._output_bytes = 0
        self._check_s = min(SILENCE_CHECK_S, patience_s / 4) if patience_s else SILENCE_CHECK_S

    def listen(self) -> None:
        """Return when nothing more is to be heard; the outcome says why."""
        worker, activity = self._worker, _CpuActivity(self._worker.process.pid)
        with selectors.DefaultSelector() as selector:
            for descriptor in (worker.report_end, worker.stderr_end, worker.exited):
                selector.register(descriptor, selectors.EVENT_READ)
            while True:
                began = time.monotonic()
                ready = self._wait(selector)
                now = time.monotonic()
                self._recipients.watch.tick()
                if worker.stderr_end in ready and not self._take_output():
                    selector.unregister(worker.stderr_end)
                if worker.report_end in ready:
                    data = os.read(worker.report_end, READ_BYTES)
                    if not data:
                        selector.unregister(worker.report_end)
                    self._take_reports(data, now)
                    # less than asked for, so the pipe is empty: what comes next is sent later
                    if len(data) < READ_BYTES:
                        self._empty_at = now
                elif worker.exited in ready:
                    # not before: what it reported until its end must still be heard
                    _conclude(worker.process, self._outcome)
                    return
                else:
                    # no report ended the wait, so the pipe was still empty when it began
                    self._empty_at = began
                self._check_silence(activity)

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
        data = os.read(self._worker.stderr_end, READ_BYTES)
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
            self._recipients.watch.on_report(report, self._worker.process.pid)
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


def _conclude(process: subprocess.Popen[bytes], outcome: WorkerOutcome) -> None:
    """The worker exited by itself: say how."""
    status = process.wait()
    failed = outcome.last(Failed)
    if failed is not None:
        outcome.ending, outcome.detail = "failed", f"{failed.exception}: {failed.message}"
    elif outcome.last(Finished) is not None and status == 0:
        outcome.ending = "finished"
    elif status < 0:
        name = signal_name(status)
        meaning = CRASHES.get(name)
        outcome.detail = f"killed by {name}" if meaning is None else f"crashed: {name}, {meaning}"
    else:
        outcome.detail = f"ended with exit status {status} before its report was complete"


class _CpuActivity:
    """Whether the worker's processes computed anything since the last look."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._last = (time.monotonic(), 0.0)
        self._busy = True

    def is_busy(self) -> bool:
        now = time.monotonic()
        then, cpu_then = self._last
        # a shorter span measures the ticks in which the kernel counts
        if now - then < 0.5:
            return self._busy
        try:
            process = psutil.Process(self._pid)
        except psutil.Error:
            return False
        cpu = cpu_seconds([process, *descendants(self._pid).values()])
        self._last = (now, cpu)
        self._busy = cpu - cpu_then > BUSY_SHARE * (now - then)
        return self._busy


def _end(process: subprocess.Popen[bytes], at_once: bool) -> int:
    """Leave no process of the worker's session or descent alive; return its exit status."""
    # before anything dies: orphans are no descendants any more
    below = descendants(process.pid).values()
    try:
        if not at_once:
            _kill_group(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(KILL_GRACE_S)
    except KeyboardInterrupt:
        pass  # asked twice: no more grace
    finally:
        _kill_group(process.pid, signal.SIGKILL)
        for descendant in below:
            with contextlib.suppress(psutil.Error):
                descendant.kill()
    return process.wait()


def _kill_group(group: int, signal_number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal_number)
