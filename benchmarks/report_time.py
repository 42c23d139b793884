"""How long a report of many records takes, and how large it is.

``python -m benchmarks.report_time [RECORDS]`` (default 500), from the repository's root. The
records are made from a real one by ``tests/report/samples.py``: many machines and engines, hundreds
of laps each, with failed, partial, disturbed and invalid ones among them. Prints seconds of wall
clock and of CPU, for reading the result files, and for the page with the drawing library's start.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from epochmark.analysis.comparing.references import load_references
from epochmark.judge.results import ResultFiles
from epochmark.report.page import report_page
from epochmark.report.subject import subject_of
from tests.report.samples import mixed_records

T = TypeVar("T")


def timed(what: str, work: Callable[[], T]) -> T:
    """Do the work and print how long it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what:<28} {wall:6.2f} s wall, {cpu:6.2f} s CPU")
    return result


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.TemporaryDirectory() as folder:
        files = ResultFiles(Path(folder))
        for record in mixed_records(count):
            files.save(record)
        stored, _ = timed(f"read {count} records", files.load)
        subject = subject_of([run.record for run in stored], load_references(), None)
        page = timed("page, first time", lambda: report_page(subject))
        timed("page, drawing library warm", lambda: report_page(subject))
        laps = sum(len(run.record.timing.laps) for run in stored)
        print(f"{len(page.encode()) / 1e6:.2f} MB, {laps / count:.0f} laps a record")


if __name__ == "__main__":
    main()
