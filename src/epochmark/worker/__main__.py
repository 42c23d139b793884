"""``python -m epochmark.worker DESCRIPTOR``: read a job from standard input, carry it out."""

from __future__ import annotations

import os
import sys
import threading
import traceback

from epochmark.worker.measure import LimitsRun
from epochmark.worker.protocol import LimitsJob, MessagePipe, decode_job
from epochmark.worker.train import Run, failure_of


def _listen_to_parent(stop: threading.Event) -> None:
    """Set ``stop`` when the launcher writes anything, and end this process when it is gone: it
    holds our standard input open as long as it lives. ``os._exit``, since a training thread would
    keep an ordinary exit waiting."""
    while os.read(0, 4096):
        stop.set()
    os._exit(1)


def main() -> int:
    """Exit status 0 when the run was reported to its end, 1 when the engine raised."""
    job = decode_job(sys.stdin.buffer.readline())
    pipe = MessagePipe(int(sys.argv[1]))
    stop = threading.Event()
    threading.Thread(target=_listen_to_parent, args=(stop,), daemon=True).start()
    run = LimitsRun(job, pipe) if isinstance(job, LimitsJob) else Run(job, pipe, stop)
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
