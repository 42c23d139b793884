"""The native engine against its targets, each as a ratio or figure with its interval: `make bench`.

    python benchmarks/native_targets.py [-w WORKLOAD|all] [--pairs 8] [ENGINE...]

Prints the tables of docs/performance.md. Needs a machine that nothing else uses, for about fifteen
minutes a workload. Engines are compared in short runs, each in a fresh worker process, native and
the other turn about (ABBA), so that a machine whose speed drifts hits both alike; the ratio is the
median over the pairs with its 95 % interval (``analysis.timing.intervals``). A step's time is the
median of the laps inside the run, its warm-up left out. Beside keras-tensorflow as its users write
it stand torch, jax and keras-tensorflow itself, as far as they are ready here, in their fastest
float32 settings: those that ``epochmark run ENGINE --tuning tuned`` has found on this machine, else
searched first.

Where no convolution can be shortened, a step also stands beside its bound: the time that its direct
arithmetic takes at the measured multiply-add peak, or its parameters at the measured bandwidth (the
weights read forward; weights and both moments read and written backward), whichever is longer.

Where native has bfloat16 for the workload and this processor, its steps in float32 and those of
torch's autocast stand beside those in bfloat16.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from _measuring import is_ready, run, short_run, step_s, tuned_request

from epochmark.analysis.timing.intervals import Interval, median_interval
from epochmark.bench.request import RunRequest
from epochmark.engines import get_engine
from epochmark.errors import EpochmarkError
from epochmark.native import missing
from epochmark.native.meter import Meter
from epochmark.records.machine.tuned_settings import settings_text
from epochmark.records.record import Record
from epochmark.system import usable_cores
from epochmark.workloads import WORKLOADS, Workload
from epochmark.workloads.flops import count_flops
from epochmark.workloads.shapes import parameter_count

STOCK = "keras-tensorflow"
TUNED = ("torch", "jax", "keras-tensorflow")
NATIVE_STEPS, OTHER_STEPS = 150, 60
SCALING_PAIRS = 6
PASSES = 7
"""Over weights or moments in a step: one forward, and three that read and write."""
TRIAD_BYTES = 256 << 20
BFLOAT16_GAIN = 1.5
"""Over native in float32, and over PyTorch's autocast."""
BOUND = 0.80
"""Of a step's bound, in time."""


@dataclass(frozen=True)
class Goal:
    """How many times as fast as another engine, in how much memory."""

    ratio: float
    better: float
    memory_mb: int


GOALS = {"mnist-cnn": Goal(3, 4, 300)}
OTHER_GOAL = Goal(1.5, 2, 400)

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
    offered = get_engine("native").info.workloads or ()
    parser.add_argument("-w", "--workload", choices=(*offered, "all"), default="mnist-cnn")
    parser.add_argument("--pairs", type=int, default=8, help="of runs, per engine; 6 or more")
    options = parser.parse_args()
    names = offered if options.workload == "all" else [options.workload]
    met = [Targets(WORKLOADS[name]).measure(options.engines, options.pairs) for name in names]
    sys.exit(not all(met))


class Targets:
    """Those of one workload."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload
        self._native = RunRequest("native", workload=workload)
        self._goal = GOALS.get(workload.name, OTHER_GOAL)

    def measure(self, engines: Sequence[str], pairs: int) -> bool:
        """Measures and prints all; whether all were met."""
        results = [
            *self._faster_than(self._others(engines), pairs),
            *self._bound(),
            *self._bfloat16(pairs),
            self._scaling(),
            self._core_taken(),
            *self._of_one_run(),
        ]
        print(f"{self._workload.name} v{self._workload.version}\n")
        show(results)
        return all(result.met for result in results)

    def _others(self, named: Sequence[str]) -> list[RunRequest]:
        """Stock Keras on TensorFlow, and the engines named in their best setting in float32; by
        default those of ``TUNED`` that are ready here."""
        return [
            RunRequest(STOCK, workload=self._workload),
            *(tuned_request(name, self._workload) for name in named or filter(is_ready, TUNED)),
        ]

    def _step(self) -> float:
        """Seconds of one of native's steps, in a fresh short run."""
        return step_of(self._native, NATIVE_STEPS)

    def _faster_than(self, requests: Sequence[RunRequest], pairs: int) -> list[Result]:
        """How many times as fast as each of these native is."""
        goal, results = self._goal, []
        for request in requests:
            ratio = paired(partial(step_of, request, OTHER_STEPS), self._step, pairs)
            reached = f"{ratio}: {ratio.over_s * 1e3:.1f} ms over {ratio.under_s * 1e3:.1f} ms"
            tuning = "stock"
            if request.tuning == "tuned":
                tuning = f"tuned ({settings_text(request.tuned_settings)})"
            target = f"a step of {request.engine} {tuning} over one of native"
            say(f"{target}: {reached}")
            limit = f"{goal.ratio:g}, better {goal.better:g}"
            results.append(Result(target, limit, reached, ratio.interval.low >= goal.ratio))
        return results

    def _bound(self) -> list[Result]:
        """A step beside the longer of what its arithmetic and its memory take at least."""
        flops = count_flops(self._workload)
        if flops.training_convolutions:
            return []
        flop = flops.training * self._native.run_batch_size
        moved = PASSES * 4 * parameter_count(self._workload)
        shares, arithmetic, memory, steps = [], [], [], []
        for _ in range(SCALING_PAIRS):
            peak, bandwidth = machine_limits()
            arithmetic.append(flop / peak)
            memory.append(moved / bandwidth)
            steps.append(self._step())
            shares.append(max(arithmetic[-1], memory[-1]) / steps[-1])
        share = median_interval(shares)
        reached = (
            f"{share.median:.0%} ({share.low:.0%} to {share.high:.0%}, {share.count} runs): "
            f"{statistics.median(steps) * 1e3:.1f} ms; at the peak "
            f"{statistics.median(arithmetic) * 1e3:.1f}, memory alone "
            f"{statistics.median(memory) * 1e3:.1f}"
        )
        say(f"of the bound: {reached}")
        target = "the bound of a step, of its time"
        return [Result(target, f"{BOUND:.0%}, better 85 %", reached, share.median >= BOUND)]

    def _bfloat16(self, pairs: int) -> list[Result]:
        """How many times as fast as float32, and as PyTorch in bfloat16, native is in bfloat16."""
        precision = "bfloat16"
        native = replace(self._native, precision=precision)
        offered = precision in get_engine("native").info.precisions_of(self._workload)
        if not offered or missing(precision):
            return []
        others = [(self._native, NATIVE_STEPS, "native in float32")]
        if is_ready("torch"):
            torch = replace(native, engine="torch")
            others.append((torch, OTHER_STEPS, "torch in bfloat16 (autocast)"))
        results = []
        for request, steps, name in others:
            own = partial(step_of, native, NATIVE_STEPS)
            ratio = paired(partial(step_of, request, steps), own, pairs)
            reached = f"{ratio}: {ratio.over_s * 1e3:.1f} ms over {ratio.under_s * 1e3:.1f} ms"
            target = f"a step of {name} over one of native in bfloat16"
            say(f"{target}: {reached}")
            met = ratio.interval.low >= BFLOAT16_GAIN
            results.append(Result(target, f"{BFLOAT16_GAIN:g}", reached, met))
        return results

    def _scaling(self) -> Result:
        """What all cores gain over one, beside what a matrix product of NumPy's BLAS gains."""
        cores = usable_cores()
        single = replace(self._native, threads=1)
        ours = paired(partial(step_of, single, NATIVE_STEPS), self._step, SCALING_PAIRS)
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

    def _core_taken(self) -> Result:
        """How much slower a step becomes while a busy loop holds one core."""

        def disturbed() -> float:
            with subprocess.Popen([sys.executable, "-c", BUSY_LOOP]) as busy:
                try:
                    if hasattr(os, "sched_setaffinity"):
                        os.sched_setaffinity(busy.pid, [min(os.sched_getaffinity(0))])
                    return self._step()
                finally:
                    busy.kill()

        ratio = paired(disturbed, self._step, SCALING_PAIRS)
        say(f"one core taken: {ratio}")
        return Result(
            "a step with a busy loop on one core, over a quiet one",
            "at most 2.5",
            str(ratio),
            ratio.interval.high <= 2.5,
        )

    def _of_one_run(self) -> list[Result]:
        """First step, memory and repeatability, from short whole runs."""
        native, limit_mb = self._native, self._goal.memory_mb
        steady = self._step()
        firsts = [
            elapsed_s(run(replace(native, max_steps=1))) - steady for _ in range(SCALING_PAIRS)
        ]
        first = median_interval(firsts)
        pair = [run(replace(native, epochs=1)) for _ in range(2)]
        memory = max(record.peak_memory_bytes or 0 for record in pair) / 1e6
        same = outcome(pair[0]) == outcome(pair[1])
        wrong = sorted({code for record in pair for code in invalidity(record)})
        return [
            Result(
                "first step, from the call of fit, beyond a steady one",
                "at most 0.2 s",
                f"{first.median:.3f} s ({first.low:.3f} to {first.high:.3f}, {first.count} runs)",
                first.high <= 0.2,
            ),
            Result(
                "peak memory, the data included",
                f"below {limit_mb} MB",
                f"{memory:.0f} MB",
                memory < limit_mb,
            ),
            Result(
                "two runs of one seed end in the same figures",
                "bit for bit",
                "the same" if same else "different",
                same,
            ),
            Result("replay and learning", "held", ", ".join(wrong) or "held", not wrong),
        ]


def machine_limits() -> tuple[float, float]:
    """FLOP/s of multiply-adds and bytes/s of a triad, on all cores: the best of some calls."""
    meter = Meter("", usable_cores())
    meter.allocate_triad(TRIAD_BYTES)
    peaks = [rate(partial(meter.multiply_adds, 1 << 20)) for _ in range(5)]

    def triad() -> float:
        meter.triad()
        return 3.0 * TRIAD_BYTES

    return max(peaks), max(rate(triad) for _ in range(5))


def rate(work: Callable[[], float]) -> float:
    """What the work says it did, for each second of it."""
    began = time.perf_counter()
    done = work()
    return done / (time.perf_counter() - began)


def sgemm_s(threads: int) -> float:
    """Median seconds of a float32 product of 2048 by 2048 in a process of its own."""
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {**os.environ, **dict.fromkeys(names, str(threads))}
    printed = subprocess.run(
        [sys.executable, "-c", SGEMM], env=environment, stdout=subprocess.PIPE, check=True
    ).stdout
    return float(printed)


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
