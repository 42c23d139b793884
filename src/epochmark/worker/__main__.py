"""``python -m epochmark.worker DESCRIPTOR``: read a job from standard input, carry it out."""

from __future__ import annotations

import os
import sys
import threading
import traceback
from typing import Union

from epochmark.worker.measure import LimitsRun
from epochmark.worker.protocol import GO_ON, LimitsJob, MessagePipe, ReplayJob, decode_job
from epochmark.worker.replay import ReplayRun
from epochmark.worker.stopwatch import Word
from epochmark.worker.train import Run, failure_of


def _listen_to_parent(word: Word) -> None:
    """Pass on what the launcher writes, to go on with the next turn or else to stop, and end this
    process when it is gone: it holds our standard input open as long as it lives. ``os._exit``,
    since a training thread would keep an ordinary exit waiting."""
    while said := os.read(0, 4096):
        if said != GO_ON:
            word.stop.set()
        word.go_on.set()
    os._exit(1)


def main() -> int:
    """Exit status 0 when the run was reported to its end, 1 when the engine raised."""
    job = decode_job(sys.stdin.buffer.readline())
    pipe = MessagePipe(int(sys.argv[1]))
    word = Word()
    threading.Thread(target=_listen_to_parent, args=(word,), daemon=True).start()
    run: Union[Run, LimitsRun, ReplayRun]
    if isinstance(job, LimitsJob):
        run = LimitsRun(job, pipe)
    elif isinstance(job, ReplayJob):
        run = ReplayRun(job, pipe)
    else:
        run = Run(job, pipe, word)
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
