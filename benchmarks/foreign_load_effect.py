"""How much slower do other programs make a training, and from which load on by over 2 %?

    python benchmarks/foreign_load_effect.py [--engines native,torch,keras-tensorflow]
        [--loads 0.05,0.1,0.2,0.3,0.5,1] [--pairs 12] [--turn 2]

Each engine trains in one run for each kind of load: *free* to run on any of our CPUs, or *pinned*
to one of them. The load is one process in a session of its own, as a browser's would be, that
computes for a share of every 50 ms and sleeps for the rest. During the run it is stopped and let go
on by turns: a quiet turn, then a loaded one, then the other way round, with each load in its turn.
So a machine that changes its speed, as virtual ones do within seconds, hits both alike, and 2 % are
seen that two runs one after the other would hide.

A pair's ratio is the seconds of a step in its loaded turn over those in its quiet one, from the
laps that lie wholly in a turn and inside an epoch. (So what Keras on TensorFlow waits for between
epochs is not in it; pairs that it leaves without laps are passed over.) Printed for each load: the
CPUs it really got, and by how much a step takes longer: the Hodges-Lehmann estimate with the 95 %
interval of Wilcoxon's signed-rank test, as in a race. Six pairs are the fewest.

The machine must do nothing else. With the defaults it takes about 30 minutes.
"""

from __future__ import annotations

import argparse
import itertools
import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

import psutil
from _measuring import bench, is_ready

from epochmark.analysis.racing.ratio import FEWEST_PAIRS
from epochmark.analysis.racing.signed_rank import located_ratio
from epochmark.analysis.timing.beside import Span
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.bench.interpreters.interpreter import choose_interpreter
from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest
from epochmark.engines import get_engine
from epochmark.records.fields import MAX_EPOCHS
from epochmark.system import usable_cores
from epochmark.worker.protocol import LapEnd, Message, Phase

ENGINES = "native,torch,keras-tensorflow"
LOADS = "0.05,0.1,0.2,0.3,0.5,1"
LIMIT = 0.02
WARM_UP_S = 8.0
"""Of each run: compilation, and a clock frequency that still changes."""
FEWEST_LAPS = 2
"""Of a turn, so that it counts."""
BUSY = """
import sys, time
share = float(sys.argv[1])
while True:
    began = time.monotonic()
    while time.monotonic() - began < share * 0.05:
        pass
    time.sleep(max(0.0, began + 0.05 - time.monotonic()))
"""


class Load:
    """A process that keeps a share of one CPU busy while it is let."""

    def __init__(self, share: float, cpu: int | None) -> None:
        self.share = share
        command = [sys.executable, "-c", BUSY, str(share)]
        self._process = subprocess.Popen(command, start_new_session=True)
        self._seen = psutil.Process(self._process.pid)
        if cpu is not None:
            self._seen.cpu_affinity([cpu])
        self._seen.suspend()
        self._used_s = self._lasted_s = 0.0

    def go_on(self, seconds: float) -> None:
        """Compute for so long."""
        before_s, began_s = self._cpu_s(), time.monotonic()
        self._seen.resume()
        time.sleep(seconds)
        self._seen.suspend()
        self._lasted_s += time.monotonic() - began_s
        self._used_s += self._cpu_s() - before_s

    @property
    def got_cpus(self) -> float:
        """CPUs that it really used while it was let."""
        return self._used_s / self._lasted_s if self._lasted_s else 0.0

    def kill(self) -> None:
        with suppress(psutil.Error):
            self._seen.kill()
        self._process.wait()

    def _cpu_s(self) -> float:
        times = self._seen.cpu_times()
        return float(times.user + times.system)


class Turn(NamedTuple):
    """A stretch of ``time.monotonic`` with a load, or without."""

    span: Span
    load: Load
    pair: int
    is_loaded: bool


@dataclass
class Turns:
    """Loads that take turns with quiet beside a run, from its warm-up on. Called with every report
    of the worker, it says when all turns are over."""

    loads: Sequence[Load]
    pairs: int
    turn_s: float
    done: list[Turn] = field(default_factory=list)
    laps: list[tuple[LapEnd, Span]] = field(default_factory=list)
    _began_s: float = 0.0
    _last_s: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)
    _asked: bool = False

    def __call__(self, report: Message) -> bool:
        if report == Phase("training"):  # sent right before the clock starts
            self._began_s = self._last_s = time.monotonic()
            threading.Thread(target=self._take_all, daemon=True).start()
        elif isinstance(report, LapEnd):
            end_s = self._began_s + report.end_ns / NANOSECONDS
            self.laps.append((report, Span(self._last_s, end_s)))
            self._last_s = end_s
            asks, self._asked = self._over.is_set() and not self._asked, self._over.is_set()
            return asks
        return False

    def _take_all(self) -> None:
        time.sleep(WARM_UP_S)
        for pair in range(self.pairs):
            for load in self.loads:
                for is_loaded in (pair % 2 == 1, pair % 2 == 0):
                    start_s = time.monotonic()
                    if is_loaded:
                        load.go_on(self.turn_s)
                    else:
                        time.sleep(self.turn_s)
                    span = Span(start_s, time.monotonic())
                    self.done.append(Turn(span, load, pair, is_loaded))
        self._over.set()

    def step_s(self, turn: Turn) -> float | None:
        """Seconds of a step in a turn; None of too few laps."""
        inside = [
            (lap, span)
            for lap, span in self._inside_epochs()
            if turn.span.start_s <= span.start_s and span.end_s <= turn.span.end_s
        ]
        if len(inside) < FEWEST_LAPS:
            return None
        seconds = sum(span.lasted_s for _, span in inside)
        return seconds / sum(lap.steps for lap, _ in inside)

    def _inside_epochs(self) -> Iterator[tuple[LapEnd, Span]]:
        """Without the laps on either side of a change of epochs."""
        for before, (lap, span), after in zip(
            self.laps, self.laps[1:], self.laps[2:], strict=False
        ):
            if before[0].epoch == lap.epoch == after[0].epoch:
                yield lap, span

    def ratios(self, load: Load) -> list[float]:
        """Loaded over quiet, of each pair that has both."""
        of_load = [turn for turn in self.done if turn.load is load]
        found = []
        for _, both in itertools.groupby(of_load, key=lambda turn: turn.pair):
            times = {turn.is_loaded: self.step_s(turn) for turn in both}
            loaded_s, quiet_s = times.get(True), times.get(False)
            if loaded_s is not None and quiet_s is not None:
                found.append(loaded_s / quiet_s)
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", default=ENGINES, help=f"default: {ENGINES}")
    parser.add_argument("--loads", default=LOADS, help=f"CPUs of each load; default: {LOADS}")
    parser.add_argument("--pairs", type=int, default=12, help="pairs of turns for each load")
    parser.add_argument("--turn", type=float, default=2.0, help="seconds of a turn")
    options = parser.parse_args()
    shares = [float(share) for share in options.loads.split(",")]
    if options.pairs < FEWEST_PAIRS or not all(0 < share <= 1 for share in shares):
        parser.error(f"{FEWEST_PAIRS} pairs or more, and loads above 0 and up to 1")
    # else the loads would go on after this script was ended
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"on {usable_cores()} CPUs; a step takes longer by, 95 % interval")
    for engine in options.engines.split(","):
        if not is_ready(engine):
            print(f"{engine:18} is not ready here: left out")
            continue
        for where in ("free", "pinned"):
            measure(engine, where, shares, options.pairs, options.turn)


def measure(engine: str, where: str, shares: Sequence[float], pairs: int, turn_s: float) -> None:
    """One run of an engine beside loads of one kind; prints a line for each load."""
    cpu = max(psutil.Process().cpu_affinity() or [0]) if where == "pinned" else None
    loads: list[Load] = []
    try:
        loads += (Load(share, cpu) for share in shares)
        turns = Turns(loads, pairs, turn_s)
        train(engine, turns)
        for load in loads:
            print(f"{engine:18} {where:7} {load.share:4.2f} CPUs {result(turns, load)}", flush=True)
    finally:
        for load in loads:
            load.kill()


def train(engine: str, turns: Turns) -> None:
    """Until the turns are over; quick, so that every engine ends laps inside epochs."""
    request = RunRequest(engine, epochs=MAX_EPOCHS, quick=True)
    planned = PlannedRun(request, choose_interpreter(get_engine(engine).info, None))
    measured = bench().measure(planned, trial=turns)
    if not turns.done:
        sys.exit(f"{engine} failed:\n{measured.stderr.decode(errors='replace')[-2000:]}")


def result(turns: Turns, load: Load) -> str:
    ratios = turns.ratios(load)
    got = f"(got {load.got_cpus:.2f})"
    if len(ratios) < FEWEST_PAIRS:
        return (
            f"{got} only {len(ratios)} pairs with enough laps: take longer turns, or more of them"
        )
    found = located_ratio([math.log(ratio) for ratio in ratios])
    middle, low, high = found.median - 1, found.low - 1, found.high - 1
    verdict = "over" if low > LIMIT else "under" if high < LIMIT else "about"
    interval = f"{low:+.1%} to {high:+.1%}"
    return f"{got} {middle:+7.1%}  {interval:17} {len(ratios)} pairs  {verdict} {LIMIT:.0%}"


if __name__ == "__main__":
    main()
