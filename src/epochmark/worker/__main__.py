"""``python -m epochmark.worker REPORTS [JOB]``: read a job, carry it out.

Both are descriptors: reports go to the first; the job is a line of the second, or of standard
input.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from typing import Union

from epochmark.worker.measure import LimitsRun
from epochmark.worker.protocol import (
    AnyJob,
    LimitsJob,
    MessagePipe,
    ReplayJob,
    ScaleJob,
    decode_job,
)
from epochmark.worker.replay import ReplayRun
from epochmark.worker.scaling import ScaleRun
from epochmark.worker.stopwatch import Word
from epochmark.worker.train import Run, failure_of


def _listen_to_parent(word: Word) -> None:
    """Pass on what the launcher writes, to go on with the next turn or else to stop, and end this
    process when it is gone: it holds our standard input open as long as it lives. ``os._exit``,
    since a training thread would keep an ordinary exit waiting."""
    with contextlib.suppress(OSError):  # a connection to another machine that was lost
        while said := os.read(0, 4096):
            word.hear(said)
    os._exit(1)


AnyRun = Union[Run, LimitsRun, ReplayRun, ScaleRun]


def _run_of(job: AnyJob, pipe: MessagePipe, word: Word) -> AnyRun:
    if isinstance(job, LimitsJob):
        return LimitsRun(job, pipe)
    if isinstance(job, ReplayJob):
        return ReplayRun(job, pipe)
    return ScaleRun(job, pipe, word) if isinstance(job, ScaleJob) else Run(job, pipe, word)


def _job_line() -> bytes:
    if len(sys.argv) < 3:
        return sys.stdin.buffer.readline()
    with os.fdopen(int(sys.argv[2]), "rb") as jobs:
        return jobs.readline()


def main() -> int:
    """Exit status 0 when the run was reported to its end, 1 when the engine raised."""
    job = decode_job(_job_line())
    pipe = MessagePipe(int(sys.argv[1]))
    word = Word()
    threading.Thread(target=_listen_to_parent, args=(word,), daemon=True).start()
    run = _run_of(job, pipe, word)
    try:
        run.carry_out()
    except Exception as error:
        traceback.print_exc()
        pipe.send(failure_of(error, run.phase))
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # A framework may have left threads that never end; everything is reported, so do not wait.
    os._exit(status)
