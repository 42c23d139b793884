"""A worker as a process: how it is started, spoken to, suspended, and ended with all below it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

from epochmark.bench.process.importable import with_our_package
from epochmark.bench.process.temporary import telling_where
from epochmark.bench.process.worker import READ_BYTES
from epochmark.hardware.processes import cpu_seconds, descendants
from epochmark.worker.protocol import GO_ON, STOP, AnyJob, encode_job

KILL_GRACE_S = 3.0
STDERR_TAIL_BYTES = 1 << 18
PIPE_BYTES = 1 << 20
"""Half an hour of laps. What Linux allows everybody."""


@dataclass
class WorkerProcess:
    """A worker and our ends of its pipes; ``exit_status`` is None until ``end`` has ended it."""

    process: subprocess.Popen[bytes]
    spawned_ns: int
    report_end: int
    stderr_end: int
    exited: int
    exit_status: int | None = None

    @property
    def pid(self) -> int:
        """Of the process, which leads a group."""
        return self.process.pid

    def ask_to_stop(self) -> None:
        """Ask the fit to end at its next lap."""
        self._say(STOP)

    def take_turn(self) -> None:
        """Let a parked fit go on, all processes of the worker's group with it."""
        _signal_group(self.process.pid, signal.SIGCONT)
        self._say(GO_ON)

    def suspend(self) -> None:
        """Stop all processes of its group, so that no pool of threads spins, until ``resume``."""
        _signal_group(self.process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let the processes run again; a parked fit stays parked."""
        _signal_group(self.process.pid, signal.SIGCONT)

    def memory_bytes(self) -> int:
        """Resident memory of the worker and all below it, as far as the system shows it."""
        below = descendants(self.process.pid).values()
        total = 0
        with contextlib.suppress(Exception):
            for process in (psutil.Process(self.process.pid), *below):
                total += process.memory_info().rss
        return total

    def cpu_seconds(self) -> float:
        """Of the process and all below it."""
        try:
            process = psutil.Process(self.process.pid)
        except psutil.Error:
            return 0.0
        return cpu_seconds([process, *descendants(self.process.pid).values()])

    def wait(self) -> int:
        """Its exit status once it has ended."""
        return self.process.wait()

    def _say(self, word: bytes) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(word)
            self.process.stdin.flush()

    def end(self, at_once: bool) -> int:
        """Leave no process of its session or descent alive; return its exit status.

        Once: later its number may be another's.
        """
        if self.exit_status is None:
            self._kill(at_once)
            self.exit_status = self.process.wait()
        return self.exit_status

    def _kill(self, at_once: bool) -> None:
        # before anything dies: orphans are no descendants any more
        below = descendants(self.process.pid).values()
        try:
            if not at_once:
                _signal_group(self.process.pid, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.process.wait(KILL_GRACE_S)
        except KeyboardInterrupt:
            pass  # asked twice: no more grace
        finally:
            _signal_group(self.process.pid, signal.SIGKILL)
            for descendant in below:
                with contextlib.suppress(psutil.Error):
                    descendant.kill()

    def read_rest_of_stderr(self, tail: bytes) -> bytes:
        """The tail with all that is still in the pipe; everyone who could write is dead."""
        os.set_blocking(self.stderr_end, False)
        with contextlib.suppress(BlockingIOError):
            while data := os.read(self.stderr_end, READ_BYTES):
                tail = (tail + data)[-STDERR_TAIL_BYTES:]
        return tail


@contextlib.contextmanager
def spawned(
    make_job: Callable[[int], AnyJob], python: Path, environment: Mapping[str, str], folder: Path
) -> Iterator[WorkerProcess]:
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
        worker = WorkerProcess(process, spawned_ns, report_end, stderr_end, exited)
        try:
            yield worker
        finally:
            worker.end(at_once=True)


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


def _signal_group(group: int, signal_number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal_number)
