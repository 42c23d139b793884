"""The native engine against its targets, each as a ratio or figure with its interval: `make bench`.

    python benchmarks/native_targets.py [--pairs 8] [ENGINE...]

Prints the table of docs/performance.md. Needs a machine that nothing else uses, for about fifteen
minutes. Engines are compared in short runs, each in a fresh worker process, native and the other
turn about (ABBA), so that a machine whose speed drifts hits both alike; the ratio is the median
over the pairs with its 95 % interval (``analysis.timing.intervals``). A step's time is the median
of the laps inside the run, its warm-up left out. Beside keras-tensorflow as its users write it
stand torch, jax and keras-tensorflow itself, as far as they are ready here, in their fastest
float32 settings: those that ``epochmark run ENGINE --tuning tuned`` has found on this machine, else
searched first.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from _measuring import is_ready, run, short_run, step_s, tuned_request

from epochmark.analysis.timing.intervals import Interval, median_interval
from epochmark.bench.request import RunRequest
from epochmark.errors import EpochmarkError
from epochmark.records.machine.tuned_settings import settings_text
from epochmark.records.record import Record
from epochmark.system import usable_cores

NATIVE = RunRequest("native")
STOCK = "keras-tensorflow"
TUNED = ("torch", "jax", "keras-tensorflow")
NATIVE_STEPS, OTHER_STEPS = 150, 60
SCALING_PAIRS = 6

SGEMM = """
import time
import numpy as np
a, b = (np.random.default_rng(0).random((2048, 2048), dtype=np.float32) for _ in range(2))
a @ b
times = []
for _ in range(15):
    began = time.perf_counter()
    a @ b
    times.append(time.perf_counter() - began)
print(sorted(times)[7])
"""
BUSY_LOOP = "while True: pass"


class Result(NamedTuple):
    """One line of the answer: what was asked for, and what was reached."""

    target: str
    limit: str
    reached: str
    met: bool


@dataclass(frozen=True)
class Ratio:
    """A paired ratio, of each pair, and the medians of both sides in seconds."""

    ratios: list[float]
    over_s: float
    under_s: float

    @property
    def interval(self) -> Interval:
        """The median over the pairs, with its interval."""
        return median_interval(self.ratios)

    def __str__(self) -> str:
        found = self.interval
        return f"{found.median:.2f} ({found.low:.2f} to {found.high:.2f}, {found.count} pairs)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engines", nargs="*", help="compare with these beside keras-tensorflow")
    parser.add_argument("--pairs", type=int, default=8, help="of runs, per engine; 6 or more")
    options = parser.parse_args()
    results = [
        *faster_than(others(options.engines), options.pairs),
        scaling(),
        core_taken(),
        *of_one_run(),
    ]
    show(results)
    sys.exit(not all(result.met for result in results))


def others(named: Sequence[str]) -> list[RunRequest]:
    """Stock Keras on TensorFlow, and the engines named in their best setting in float32; by
    default those of ``TUNED`` that are ready here."""
    return [
        RunRequest(STOCK),
        *map(tuned_request, named or filter(is_ready, TUNED)),
    ]


def faster_than(requests: Sequence[RunRequest], pairs: int) -> list[Result]:
    """How many times as fast as each of these native is."""
    results = []
    for request in requests:
        ratio = paired(partial(step_of, request, OTHER_STEPS), step_of_native, pairs)
        reached = f"{ratio}: {ratio.over_s * 1e3:.1f} ms over {ratio.under_s * 1e3:.1f} ms"
        tuning = "stock"
        if request.tuning == "tuned":
            tuning = f"tuned ({settings_text(request.tuned_settings)})"
        target = f"a step of {request.engine} {tuning} over one of native"
        say(f"{target}: {reached}")
        results.append(Result(target, "3, better 4", reached, ratio.interval.low >= 3))
    return results


def scaling() -> Result:
    """What all cores gain over one, beside what a matrix product of NumPy's BLAS gains by them."""
    cores = usable_cores()
    single = replace(NATIVE, threads=1)
    ours = paired(partial(step_of, single, NATIVE_STEPS), step_of_native, SCALING_PAIRS)
    products = paired(partial(sgemm_s, 1), partial(sgemm_s, cores), SCALING_PAIRS)
    share = median_interval(
        [gain / other for gain, other in zip(ours.ratios, products.ratios, strict=True)]
    )
    reached = (
        f"{share.median:.0%} ({share.low:.0%} to {share.high:.0%}): native gains {ours}, "
        f"the product {products}"
    )
    say(f"1 to {cores} threads: {reached}")
    target = f"1 to {cores} threads, of what a matrix product gains"
    return Result(target, "95 %", reached, share.median >= 0.95)


def sgemm_s(threads: int) -> float:
    """Median seconds of a float32 product of 2048 by 2048 in a process of its own."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    printed = subprocess.run(
        [sys.executable, "-c", SGEMM], env=environment, stdout=subprocess.PIPE, check=True
    ).stdout
    return float(printed)


def core_taken() -> Result:
    """How much slower a step becomes while a busy loop holds one core."""

    def disturbed() -> float:
        with subprocess.Popen([sys.executable, "-c", BUSY_LOOP]) as busy:
            try:
                if hasattr(os, "sched_setaffinity"):
                    os.sched_setaffinity(busy.pid, [min(os.sched_getaffinity(0))])
                return step_of_native()
            finally:
                busy.kill()

    ratio = paired(disturbed, step_of_native, SCALING_PAIRS)
    say(f"one core taken: {ratio}")
    return Result(
        "a step with a busy loop on one core, over a quiet one",
        "at most 2.5",
        str(ratio),
        ratio.interval.high <= 2.5,
    )


def of_one_run() -> list[Result]:
    """First step, memory and repeatability, from short whole runs."""
    firsts = [elapsed_s(run(replace(NATIVE, max_steps=1))) for _ in range(SCALING_PAIRS)]
    first = median_interval(firsts)
    pair = [run(replace(NATIVE, epochs=1)) for _ in range(2)]
    memory = max(record.peak_memory_bytes or 0 for record in pair) / 1e6
    same = outcome(pair[0]) == outcome(pair[1])
    wrong = sorted({code for record in pair for code in invalidity(record)})
    return [
        Result(
            "first step, from the call of fit",
            "at most 0.2 s",
            f"{first.median:.3f} s ({first.low:.3f} to {first.high:.3f}, {first.count} runs)",
            first.high <= 0.2,
        ),
        Result("peak memory, the data included", "below 300 MB", f"{memory:.0f} MB", memory < 300),
        Result(
            "two runs of one seed end in the same figures",
            "bit for bit",
            "the same" if same else "different",
            same,
        ),
        Result("replay and learning", "held", ", ".join(wrong) or "held", not wrong),
    ]


def step_of_native() -> float:
    """Seconds of one of native's steps, in a fresh short run."""
    return step_of(NATIVE, NATIVE_STEPS)


def step_of(request: RunRequest, steps: int) -> float:
    """Median seconds of a warm step, in a fresh run of that many."""
    return step_s(short_run(request, steps))


def elapsed_s(record: Record) -> float:
    assert record.headline.elapsed_s is not None, "the run completed"
    return record.headline.elapsed_s


def outcome(record: Record) -> tuple[object, ...]:
    """Everything that a run computed and reported: losses, accuracies, replay."""
    return record.learning, record.replay


def invalidity(record: Record) -> list[str]:
    """What makes its work wrong; a disturbed time is another matter."""
    return (
        [finding.code for finding in record.findings]
        if record.headline.validity == "invalid"
        else []
    )


def paired(over: Callable[[], float], under: Callable[[], float], pairs: int) -> Ratio:
    """The ratio of two times, taken turn about."""
    overs, unders = [], []
    for pair in range(pairs):
        if pair % 2 == 0:
            overs.append(over())
            unders.append(under())
        else:
            unders.append(under())
            overs.append(over())
    ratios = [slow / fast for slow, fast in zip(overs, unders, strict=True)]
    return Ratio(ratios, statistics.median(overs), statistics.median(unders))


def show(results: Sequence[Result]) -> None:
    print("| target | limit | reached | met |\n|---|---|---|---|")
    for result in results:
        met = "yes" if result.met else "NO"
        print(f"| {result.target} | {result.limit} | {result.reached} | {met} |")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except EpochmarkError as error:
        sys.exit(f"{error}")
