"""What the measuring scripts share: one run in a worker process of its own, watched."""

from __future__ import annotations

import sys

from epochmark.bench.interpreter import choose_interpreter
from epochmark.bench.request import RunRequest
from epochmark.bench.session import measure
from epochmark.datasets import get_mnist
from epochmark.engines import get_engine
from epochmark.hardware.counters import open_counters
from epochmark.hardware.machine import describe_machine
from epochmark.results.record import Record


def run(request: RunRequest) -> Record:
    """The record of one run; ends the script with the worker's last words when it failed."""
    request.check()
    interpreter = choose_interpreter(get_engine(request.engine).info, None)
    measured = measure(
        request,
        get_mnist(None, lambda what, done, total: None),
        describe_machine(None),
        lambda report: None,
        interpreter=interpreter,
        open_counters=open_counters,
    )
    if measured.record.outcome != "completed":
        sys.exit(f"{request.engine} failed:\n{measured.stderr.decode(errors='replace')[-2000:]}")
    return measured.record
