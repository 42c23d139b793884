"""How often does ``epochmark fleet report`` name a node wrongly, or miss one? By simulation.

Fleets of 40 alike nodes with two rounds of three runs each. In healthy ones every name is wrong; in
others a node takes longer. Runs differ by 1 % (a factor for each run, and 3 % for each lap), or by
what real runs showed: their laps are drawn again, stretch by stretch, from recorded runs. Each run
is judged as a real one is: what is disturbed does not count.

Then speed and memory: the report of 1,000 nodes with six records each, from as many bundles.

Run: python benchmarks/fleet_error_rates.py   (about ten minutes; ``scale``, ``errors``: a part)
"""

from __future__ import annotations

import resource
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from epochmark.analysis.timing.headline import headline_of, steps_per_epoch
from epochmark.analysis.timing.intervals import Floats
from epochmark.fleet.files import FleetFiles
from epochmark.fleet.report import fleet_report
from epochmark.fleet.runs import run_of
from epochmark.judge.disturbances import disturbances
from epochmark.judge.reading import decode_record
from epochmark.records.bundle import documents_in, encode_bundle
from epochmark.records.digest import sealed
from epochmark.records.record import Lap, Record

MEASURED = Path(__file__).parents[1] / "tests" / "measured"
TRACES = ("native.json", "keras-tensorflow-slept.json")
"""A full run on a quiet machine; one in which TensorFlow slept."""
FLEETS, NODES, RUNS, SLOW = 100, 40, 6, 1.08
RUN_NOISE, LAP_NOISE = 0.01, 0.03
STRETCH = 8
"""Laps of a recorded run that are drawn together, so that what changes slowly still does."""
MANY_NODES = 1_000

Random = np.random.Generator
Noise = Callable[[Random, int], Floats]
"""How many times as long each lap of a run takes, for so many laps."""


def recorded(name: str) -> Record:
    """A record of ``tests/measured``."""
    documents, _ = documents_in((MEASURED / name).read_bytes())
    return decode_record(documents[0])


def one_percent(random: Random, count: int) -> Floats:
    return random.normal(1.0, RUN_NOISE) * random.normal(1.0, LAP_NOISE, count)


def noise_of(record: Record) -> Noise:
    """What the laps of a real run show, without its first epoch, which holds the start."""
    laps = record.timing.laps
    ends = np.array([0, *(lap.end_ns for lap in laps)], np.float64)
    steps = np.array([lap.steps for lap in laps])
    warm = np.array([lap.epoch > 1 for lap in laps])
    times: Floats = (np.diff(ends) / steps)[warm]
    times /= np.median(times)

    def draw(random: Random, count: int) -> Floats:
        starts = random.integers(0, len(times), count // STRETCH + 1)
        places = (starts[:, None] + np.arange(STRETCH)) % len(times)
        drawn: Floats = times[places.ravel()[:count]]
        return drawn

    return draw


def made_up(template: Record, times: Floats, number: int, node: int) -> Record:
    """The template with laps that take so many times as long, of a node of its own."""
    laps, per_epoch = template.timing.laps, steps_per_epoch(template.workload)
    step_ns = template.timing.laps[-1].end_ns / (per_epoch * template.workload.epochs)
    steps = np.array([lap.steps for lap in laps])
    ends = np.cumsum(times * steps * step_ns).astype(np.int64).tolist()
    replace = msgspec.structs.replace
    made = [
        Lap(epoch=lap.epoch, steps=lap.steps, end_ns=end, loss=lap.loss)
        for lap, end in zip(laps, ends, strict=True)
    ]
    record = replace(
        template,
        id=secrets.token_hex(6),
        created=f"2026-11-20T{10 + number // 60:02d}:{number % 60:02d}:00Z",
        timing=replace(template.timing, laps=made, fit_ns=made[-1].end_ns + 1, launcher=None),
        machine=replace(template.machine, machine_id=f"{node:016x}"),
        findings=[],
        calm=None,
        sensors=None,
    )
    record = replace(record, findings=[*disturbances(record)])
    return replace(record, headline=headline_of(record))


def fleet(template: Record, noise: Noise, random: Random, slow: float) -> FleetFiles:
    """The runs of 40 nodes; the first takes ``slow`` times as long."""
    count = len(template.timing.laps)
    runs = [
        run_of(
            made_up(template, noise(random, count) * (slow if node == 0 else 1.0), number, node),
            f"node-{node}.json",
        )
        for node in range(NODES)
        for number in range(RUNS)
    ]
    return FleetFiles(runs)


def print_errors(name: str, template: Record, noise: Noise, slow: float) -> None:
    """Over 100 fleets: in how many a healthy node was named, in how many the slow one was."""
    random = np.random.default_rng(1)
    seen = Counter[str]()
    for _ in range(FLEETS):
        report = fleet_report(fleet(template, noise, random, slow), {})
        named = report.nodes("slow")
        seen["wrong"] += bool({*named} - {"node-0"} if slow > 1 else named)
        seen["right"] += "node-0" in named and slow > 1
        seen["suspected"] += len(report.nodes("suspected"))
        seen["uncounted"] += sum(runs.runs for runs in report.uncounted)
    right = f"{seen['right']}" if slow > 1 else "-"
    runs = seen["uncounted"] / (FLEETS * NODES * RUNS)
    print(
        f"{name:42}{seen['wrong']:>12}{right:>12}{seen['suspected']:>12}{runs:>12.1%}", flush=True
    )


def errors() -> None:
    print(f"of {FLEETS} fleets of {NODES} nodes: fleets with a false name, slow node named,")
    print("nodes suspected in all; share of runs that were disturbed")
    print(f"{'noise':42}{'false':>12}{'named':>12}{'suspected':>12}{'disturbed':>12}")
    native = recorded("native.json")
    print_errors("1 % a run, healthy", native, one_percent, 1.0)
    print_errors("1 % a run, a node 8 % slow", native, one_percent, SLOW)
    for trace in TRACES:
        record = recorded(trace)
        print_errors(f"{trace}, healthy", record, noise_of(record), 1.0)
        print_errors(f"{trace}, a node 8 % slow", record, noise_of(record), SLOW)


def scale() -> None:
    """Plausible records of 1,000 nodes, read and reported by the command itself."""
    random, native = np.random.default_rng(2), recorded("native.json")
    count = len(native.timing.laps)
    with tempfile.TemporaryDirectory() as folder:
        for node in range(MANY_NODES):
            slow = SLOW if node % 100 == 0 else 1.0
            records = [
                sealed(made_up(native, one_percent(random, count) * slow, number, node))
                for number in range(RUNS)
            ]
            bundle = encode_bundle(records, keep_machine_ids=True)
            Path(folder, f"node-{node}.json").write_bytes(bundle)
        command = [sys.executable, "-m", "epochmark", "fleet", "report", folder]
        page = ["-o", str(Path(folder, "fleet.html"))]
        started = time.perf_counter()
        done = subprocess.run([*command, *page], stdout=subprocess.PIPE, check=False)
        took_s = time.perf_counter() - started
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(done.stdout.decode().splitlines()[0])
    print(
        f"{MANY_NODES:,} nodes with {RUNS} records of {count} laps each: {took_s:.1f} s "
        f"({used.ru_utime + used.ru_stime:.1f} s of CPU), {used.ru_maxrss / 1024:.0f} MB at most, "
        f"exit code {done.returncode}"
    )


if __name__ == "__main__":
    parts = {"errors": errors, "scale": scale}
    for part in sys.argv[1:] or parts:
        parts[part]()
