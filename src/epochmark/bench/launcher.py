"""Start one worker, listen to its reports, and make sure that nothing of it is left behind."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeVar

import psutil

from epochmark.bench.importable import with_our_package
from epochmark.bench.interrupts import interrupts_now
from epochmark.bench.patience import Patience
from epochmark.bench.reports import ReportError, ReportReader
from epochmark.bench.watch import Watch
from epochmark.hardware.processes import cpu_seconds, descendants
from epochmark.results.record import Calm, SensorLog
from epochmark.worker.protocol import (
    AnyJob,
    Failed,
    Finished,
    Fitted,
    Lap,
    Phase,
    Report,
    encode_job,
)

KILL_GRACE_S = 3.0
SILENCE_CHECK_S = 5.0
"""How often a silent worker is looked at."""
STDERR_TAIL_BYTES = 1 << 18
READ_BYTES = 1 << 16
BUSY_SHARE = 0.05
"""A worker that uses this share of one CPU is computing something."""

Ending = Literal["finished", "failed", "crashed", "hung", "interrupted", "protocol-broken"]
T = TypeVar("T")


@dataclass
class WorkerOutcome:
    """All a worker said, and how it ended. ``stderr`` is the end of its stdout and stderr."""

    reports: list[Report] = field(default_factory=list)
    ending: Ending = "crashed"
    detail: str = ""
    exit_status: int | None = None
    stderr: bytes = b""
    calm: Calm | None = None
    sensors: list[SensorLog] | None = None

    def last(self, kind: type[T]) -> T | None:
        """The last report of this kind, if there was one."""
        return next((r for r in reversed(self.reports) if isinstance(r, kind)), None)

    def every(self, kind: type[T]) -> list[T]:
        """All reports of this kind, in order."""
        return [report for report in self.reports if isinstance(report, kind)]


def launch(
    make_job: Callable[[int], AnyJob],
    python: Path,
    environment: Mapping[str, str],
    on_report: Callable[[Report], None],
    patience_s: float | None = None,
    watch: Watch | None = None,
    wants_stop: Callable[[Report], bool] = lambda report: False,
) -> WorkerOutcome:
    """Run one job in a fresh process of the interpreter ``python`` and return what came of it.

    ``make_job`` gets the ``time.monotonic_ns`` of the spawn. Never raises for what a worker does:
    a crash, a hang and Ctrl-C are endings. When this returns, no process of the worker is left.
    ``watch`` sees the machine meanwhile. When ``wants_stop`` answers a report with true, the fit is
    asked to end at its next lap.
    """
    outcome = WorkerOutcome()
    watch = watch or Watch(None)
    with (
        tempfile.TemporaryDirectory(prefix="epochmark-", ignore_cleanup_errors=True) as folder,
        _spawn(make_job, python, environment, Path(folder)) as worker,
    ):
        try:
            with interrupts_now():
                _listen(worker, outcome, on_report, patience_s, watch, wants_stop)
        except KeyboardInterrupt:
            outcome.ending, outcome.detail = "interrupted", "interrupted from the keyboard"
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

    Only our package is made importable there (``bench.importable``). Our end of its standard input
    stays open as long as we live; its end tells it that we died.
    """
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
        for descriptor in (report_write, stderr_write):
            os.close(descriptor)
        assert process.stdin is not None
        descriptors.callback(_close_quietly, process.stdin)
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(encode_job(make_job(spawned_ns)))
            process.stdin.flush()
        waiter = threading.Thread(target=_signal_exit, args=(process, exited_write), daemon=True)
        waiter.start()
        descriptors.callback(waiter.join)
        try:
            yield _Worker(process, report_end, stderr_end, exited)
        finally:
            _end(process, at_once=True)


def _pipe(descriptors: contextlib.ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    descriptors.callback(_close_descriptor, read)
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


def _listen(
    worker: _Worker,
    outcome: WorkerOutcome,
    on_report: Callable[[Report], None],
    patience_s: float | None,
    watch: Watch,
    wants_stop: Callable[[Report], bool],
) -> None:
    """Take in reports until the worker ends, breaks the protocol, or is silent for too long."""
    reader = ReportReader()
    patience = Patience(time.monotonic(), patience_s)
    activity = _CpuActivity(worker.process.pid)
    check_s = min(SILENCE_CHECK_S, patience_s / 4) if patience_s else SILENCE_CHECK_S
    with selectors.DefaultSelector() as selector:
        for descriptor in (worker.report_end, worker.stderr_end, worker.exited):
            selector.register(descriptor, selectors.EVENT_READ)
        while True:
            ready = {key.fd for key, _ in selector.select(min(check_s, watch.wait_s()))}
            watch.tick()
            if worker.stderr_end in ready:
                data = os.read(worker.stderr_end, READ_BYTES)
                outcome.stderr = (outcome.stderr + data)[-STDERR_TAIL_BYTES:]
                if not data:
                    selector.unregister(worker.stderr_end)
            if worker.report_end in ready:
                data = os.read(worker.report_end, READ_BYTES)
                if not data:
                    selector.unregister(worker.report_end)
                try:
                    for report in reader.feed(data):
                        begins_phase = isinstance(report, Phase)
                        patience.report(time.monotonic(), isinstance(report, Lap), begins_phase)
                        outcome.reports.append(report)
                        watch.on_report(report, worker.process.pid)
                        on_report(report)
                        if wants_stop(report):
                            worker.ask_to_stop()
                except ReportError as error:
                    outcome.ending, outcome.detail = "protocol-broken", str(error)
                    return
            elif worker.exited in ready:
                _conclude(worker.process, outcome)
                return
            silence_s = patience.silence_s(time.monotonic())
            if silence_s >= check_s and silence_s > patience.limit_s(activity.is_busy()):
                outcome.ending = "hung"
                outcome.detail = f"no report from the worker for {silence_s:.0f} s"
                return


def _conclude(process: subprocess.Popen[bytes], outcome: WorkerOutcome) -> None:
    """The worker exited by itself: say how."""
    status = process.wait()
    failed = outcome.last(Failed)
    if failed is not None:
        outcome.ending, outcome.detail = "failed", f"{failed.exception}: {failed.message}"
    elif outcome.last(Finished) is not None and status == 0:
        outcome.ending = "finished"
    elif status < 0:
        outcome.detail = f"killed by {signal_name(status)}"
    else:
        outcome.detail = f"ended with exit status {status} before its report was complete"


def signal_name(status: int) -> str:
    """Name of the signal behind a negative exit status (``SIGKILL``)."""
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


class _CpuActivity:
    """Whether the worker's processes computed anything since the last look."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._last = (time.monotonic(), 0.0)
        self._busy = True

    def is_busy(self) -> bool:
        now = time.monotonic()
        then, cpu_then = self._last
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
