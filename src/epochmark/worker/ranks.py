"""The processes of one data-parallel training, as the first of them sees the others.

Each is a worker like the first. On one machine the first starts it, with a pipe for its reports and
its standard input for what the first says. On another node an agent starts it, and a connection is
both. Standard library only, Python 3.9.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from typing import Callable, List, Optional, Type, TypeVar, Union

from epochmark.worker.protocol import (
    ENDED,
    MAX_LINE_BYTES,
    MESSAGES,
    Failed,
    Finished,
    Message,
    Phase,
    ScaleJob,
    encode_job,
)

GRACE_S = 5.0
"""After one has ended, the first is given so long to notice by itself: what it raises then has the
other's reason."""
_MessageT = TypeVar("_MessageT", bound=Message)


class RankError(Exception):
    """Another process of the training failed; ``failed`` says how."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(f"{failed.exception}: {failed.message}")
        self.failed = failed


class Child:
    """A worker that this process started."""

    def __init__(self, job: ScaleJob) -> None:
        self.reports, write_end = os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "epochmark.worker", str(write_end)],
            stdin=subprocess.PIPE,
            pass_fds=[write_end],
        )
        os.close(write_end)
        self.say(encode_job(job))

    def say(self, said: bytes) -> None:
        """Raises ``OSError`` or ``ValueError`` where it has ended."""
        assert self.process.stdin is not None
        self.process.stdin.write(said)
        self.process.stdin.flush()

    def close(self) -> None:
        """Nothing more is said to it."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    def how_it_ended(self) -> str:
        """To be asked once its reports have ended."""
        return _how(self.process.wait())


class Link:
    """A connection to a worker on another node, whose agent says at the end how that ended."""

    def __init__(self, descriptor: int) -> None:
        self.reports = os.dup(descriptor)  # closed at their end; its number may be another's then
        self._descriptor = descriptor
        self.status: Optional[int] = None

    def say(self, said: bytes) -> None:
        """Raises ``OSError`` where it has ended."""
        os.write(self._descriptor, said)

    def close(self) -> None:
        """Its reports end it."""

    def how_it_ended(self) -> str:
        """Without a word its node was lost, or the network to it."""
        return "was lost with its node" if self.status is None else _how(self.status)


def _how(status: int) -> str:
    if status >= 0:
        return f"ended with exit status {status}"
    names = {known.value: known.name for known in signal.Signals}
    return f"was killed by {names.get(-status, f'signal {-status}')}"


class Rank:
    """One of the others. What it reports is read by a thread; ``ended_s`` is when it failed or its
    reports ended, by ``time.monotonic``."""

    def __init__(
        self, number: int, worker: Union[Child, Link], on_end: Callable[[Rank], None]
    ) -> None:
        self.number = number
        self.failed: Optional[Failed] = None
        self.finished = False
        self.phase = "starting"
        self.ended_s: Optional[float] = None
        self._worker = worker
        self._on_end = on_end
        self._reports: queue.SimpleQueue[Optional[Message]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def say_steps(self, steps: int) -> None:
        """How many steps come next; 0: no more."""
        with contextlib.suppress(OSError, ValueError):  # it has ended
            self._worker.say(b"%d\n" % steps)

    def hear(self, kind: Type[_MessageT]) -> _MessageT:
        """Its next report of this kind; what else it says is passed over.

        Raises ``RankError`` when it ends without one.
        """
        while True:
            report = self._reports.get()
            if report is None:
                self._reports.put(None)
                raise RankError(self.reason())
            if isinstance(report, kind):
                return report

    def reason(self) -> Failed:
        """Why it ended."""
        if self.failed is not None:
            return replace(self.failed, message=f"rank {self.number}: {self.failed.message}")
        how = self._worker.how_it_ended()
        return Failed(self.phase, "RankError", f"rank {self.number} {how}", usage=False)

    def _listen(self) -> None:
        try:
            with contextlib.suppress(OSError), os.fdopen(self._worker.reports, "rb") as reports:
                # without an end it was killed while it wrote, or is no report
                while (line := reports.readline(MAX_LINE_BYTES)).endswith(b"\n"):
                    self._take(line)
        finally:
            self._end()

    def _take(self, line: bytes) -> None:
        if isinstance(self._worker, Link):
            if line.startswith(ENDED):
                self._worker.status = int(line[len(ENDED) :])
            if not line.startswith(b"{") or not line.endswith(b"}\n"):
                return
        fields = json.loads(line)
        report = MESSAGES[fields.pop("report")](**fields)
        if isinstance(report, Failed):
            self.failed = report
            self.ended_s = time.monotonic()
        if isinstance(report, Phase):
            self.phase = report.name
        self.finished = self.finished or isinstance(report, Finished)
        self._reports.put(report)

    def _end(self) -> None:
        """Nothing more comes from it: let those who wait know."""
        self.ended_s = self.ended_s or time.monotonic()
        with contextlib.suppress(BrokenPipeError):
            self._worker.close()
        self._reports.put(None)
        if not self.finished:
            self._on_end(self)


class Ranks:
    """All the others; none where one process holds all devices."""

    def __init__(self, job: ScaleJob, give_up: Callable[[Failed], None]) -> None:
        """``give_up`` ends this process with a reason, should it not notice by itself that another
        has ended: NCCL waits for it."""
        self._give_up = give_up
        several = job.meeting is not None and job.rank == 0
        numbers = range(1, job.devices) if several else ()
        workers: List[Union[Child, Link]] = [Link(descriptor) for descriptor in job.links]
        if not workers:
            workers += [Child(replace(job, rank=number)) for number in numbers]
        self.are_elsewhere = bool(job.links)
        self._others = [
            Rank(number, worker, self._on_end) for number, worker in enumerate(workers, 1)
        ]

    def say_steps(self, steps: int) -> None:
        """To all of them: how many steps come next; 0: no more."""
        for rank in self._others:
            rank.say_steps(steps)

    def hear(self, kind: Type[_MessageT]) -> List[_MessageT]:
        """The next report of this kind of each of them, in their order. Raises ``RankError``."""
        return [rank.hear(kind) for rank in self._others]

    def cause(self, error: Exception) -> Union[Exception, RankError]:
        """What made this process fail: that another failed first, or what it raised itself. Who
        loses the connection to a process that has just died may know that before we do."""
        failed_s = time.monotonic()
        if not self._others:
            return error
        while not self._ended() and time.monotonic() - failed_s < GRACE_S / 2:
            time.sleep(0.01)
        ended = sorted(self._ended(), key=lambda rank: (rank.failed is not None, rank.ended_s))
        for rank in ended:
            # one that was killed says nothing, and did not fail because of us
            if rank.failed is None or (rank.ended_s or failed_s) < failed_s:
                return RankError(rank.reason())
        return error

    def _ended(self) -> List[Rank]:
        return [rank for rank in self._others if rank.ended_s is not None and not rank.finished]

    def _on_end(self, rank: Rank) -> None:
        time.sleep(GRACE_S)
        self._give_up(rank.reason())
