"""Two steps of a large workload on every engine that is ready here, and both replays.

    python benchmarks/two_steps.py FOLDER [--workload gpt-124m] [--batch 1] [--engines torch jax] \
        [--show]

For workloads of which a whole run is too long for this machine. One engine at a time trains two
steps of its own ``fit``, then the replay; the continuation, which takes float64 minutes here, is
left out. Each record is kept in FOLDER as soon as it is there, and the script goes on where it was
ended. Prints the milliseconds of the first step and of the second, the worker's peak of memory,
and the relative error of every replayed loss; ``--show`` prints only what FOLDER has.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from _measuring import is_ready

from epochmark.analysis.timing.headline import replay_verdict
from epochmark.bench.interpreters.interpreter import choose_interpreter
from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest, find_workload
from epochmark.bench.session import Bench
from epochmark.bench.watching.memory import MemoryNeeded, check_memory
from epochmark.datasets import get_data
from epochmark.engines import get_engine, offering
from epochmark.errors import EpochmarkError
from epochmark.hardware.counters import open_counters
from epochmark.hardware.machine import describe_machine
from epochmark.judge.results import ResultFiles
from epochmark.records.record import Record
from epochmark.workloads import Workload
from epochmark.workloads._proof.replay_data import REPLAY_STEPS

STEPS = 2
PATIENCE_S = 3600.0
"""Some engines compile for minutes, and longer beside other programs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workload", default="gpt-124m")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--engines", nargs="*", help="default: all that offer the workload")
    parser.add_argument("--show", action="store_true")
    options = parser.parse_args()
    workload, files = find_workload(options.workload), ResultFiles(options.folder)
    options.folder.mkdir(parents=True, exist_ok=True)
    if not options.show:
        for engine in options.engines or offering(workload):
            if engine not in records_of(files, workload, options.batch):
                measure(RunRequest(engine, workload=workload, batch_size=options.batch), files)
    found = records_of(files, workload, options.batch)
    for engine in offering(workload):
        print(*(lines_of(found[engine]) if engine in found else [f"{engine}: not run"]), sep="\n")


def records_of(files: ResultFiles, workload: Workload, batch: int) -> dict[str, Record]:
    """Completed ones by engine."""
    return {
        stored.record.engine.name: stored.record
        for stored in files.load()[0]
        if stored.record.outcome == "completed"
        and stored.record.workload.name == workload.name
        and stored.record.workload.batch_size == batch
    }


def measure(request: RunRequest, files: ResultFiles) -> None:
    """Carry out one run, and keep its record; what goes wrong is said, and others go on."""
    if not is_ready(request.engine):
        print(f"{request.engine}: not ready here", file=sys.stderr)
        return
    request.check()
    print(
        f"{request.engine}: {MemoryNeeded.of(request, proves=False)}", file=sys.stderr, flush=True
    )
    interpreter = choose_interpreter(get_engine(request.engine).info, None)
    # a lap at every step, also of engines that in a full run end whole epochs only
    run = PlannedRun(replace(request, max_steps=STEPS, quick=True), interpreter)
    try:
        check_memory(request, proves=False)
        measured = bench_for(request.workload).measure(run, trial=lambda report: False)
    except EpochmarkError as error:
        print(f"{request.engine}: {error}", file=sys.stderr)
        return
    if measured.record.outcome != "completed":
        print(f"{request.engine}: {measured.record.failure}", file=sys.stderr)
    files.save(measured.record, measured.stderr)


def bench_for(workload: Workload) -> Bench:
    """This machine, watched for other programs, with the data of the workload."""
    folder = get_data([workload], None, lambda what, done, total: None)
    machine = describe_machine(None)
    return Bench(folder, machine, open_counters=open_counters, patience_s=PATIENCE_S)


def lines_of(record: Record) -> Iterator[str]:
    """What came of it, and how far its replay is from float64."""
    ends_ms = [0.0, *(lap.end_ns / 1e6 for lap in record.timing.laps)]
    steps = " and ".join(f"{end - start:,.0f}" for start, end in pairwise(ends_ms))
    memory = record.peak_memory_bytes
    peak = "unknown" if memory is None else f"{memory / 2**20:,.0f} MiB"
    versions = ", ".join(f"{name} {version}" for name, version in record.engine.versions.items())
    yield f"{record.engine.name} ({versions}): steps of {steps} ms, peak {peak}"
    verdict = replay_verdict(record)
    if verdict is not None:
        shown = [f"{error:.1e}" for error in verdict.errors]
        yield f"  Adam {' '.join(shown[:REPLAY_STEPS])}"
        yield f"  SGD  {' '.join(shown[REPLAY_STEPS:])}"


if __name__ == "__main__":
    main()
