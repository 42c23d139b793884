"""Does keras-tensorflow time what the original script times? The paired ratio of their training.

    python benchmarks/keras_against_script.py [--pairs 20] [--epochs 1] [--python PATH]

Both sides do the same work: whole epochs of ``fit`` over the training set as NumPy float64 arrays.
One side is the script bare (``bare_script.py`` beside this), timing its ``fit``; the other the
engine through epochmark, with all that watches it. Each in fresh processes with the same
interpreter and environment, and in a session of its own, since Linux shares out CPUs by sessions
(autogroups).

The two of a pair take turns of half a second, each stopped during the other's turn (``SIGSTOP``),
and the time a side was stopped is taken off. So only one trains at a time, and a machine that
changes its speed, as virtual ones do within seconds, hits both alike. Who begins changes from pair
to pair; a first pair warms the caches and does not count. 20 pairs of an epoch take half an hour.

Compared is the time until the training has ended. TensorFlow's ``fit`` may return much later: its
input pipeline's tuner sleeps 10 ms, 20 ms, 40 ms and so on up to a minute, and in about every
second process its end is waited for asleep (docs/engines.md).

Prints every pair and the ratio engine / script: the Hodges-Lehmann estimate of the pairs' log
ratios (median of the means of all two of them), and the 95 % interval that belongs to Wilcoxon's
signed-rank test (Hollander and Wolfe, Nonparametric Statistical Methods, 3.2 and 3.3). It assumes
that log ratios lie symmetrically, which exchanging two equal programs makes them do, and minds
neither their distribution nor a few pairs that something disturbed. It should lie inside 1 +- 0.02.
Six pairs are the fewest from which there is such an interval.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from _measuring import run

from epochmark.analysis.racing.ratio import FEWEST_PAIRS
from epochmark.analysis.racing.signed_rank import located_ratio
from epochmark.analysis.timing.steady_epoch import NANOSECONDS
from epochmark.bench.interpreters.interpreter import choose_interpreter
from epochmark.bench.request import RunRequest
from epochmark.datasets import get_mnist, read_idx_folder
from epochmark.engines import get_engine
from epochmark.worker.protocol import Message, Phase

ENGINE = "keras-tensorflow"
SCRIPT = Path(__file__).with_name("bare_script.py")
MARGIN = 0.02
TURN_S = 0.5


class Span(NamedTuple):
    """A stretch of ``time.monotonic``, which all processes of the system share."""

    start_s: float
    end_s: float

    def within(self, other: Span) -> float:
        """Seconds of it that lie in ``other``."""
        return max(0.0, min(self.end_s, other.end_s) - max(self.start_s, other.start_s))


class Side:
    """A program that trains, in a session of its own; it prints when its training began and ended,
    as the last two words."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        self._command = " ".join(command)
        self._turns: list[Span] = []
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # as a worker
        )
        self._all = [psutil.Process(self._process.pid)]
        self._stop()

    def ended(self) -> bool:
        return self._process.poll() is not None

    def take_turn(self) -> None:
        """Go on for ``TURN_S``, or to the end if that is sooner."""
        start_s = time.monotonic()
        self._each(psutil.Process.resume)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(TURN_S)
        self._stop()
        self._turns.append(Span(start_s, time.monotonic()))

    def trained_s(self) -> float:
        """Seconds of its turns from the call of ``fit`` until the training had ended."""
        output, _ = self._process.communicate()
        if self._process.returncode != 0:
            raise SystemExit(f"{self._command} failed")
        training = Span(*map(float, output.split()[-2:]))
        return sum(turn.within(training) for turn in self._turns)

    def kill(self) -> None:
        self._each(psutil.Process.kill)

    def _stop(self) -> None:
        """Stop the program and all it started, found while it still runs: that takes a while."""
        with suppress(psutil.NoSuchProcess):
            self._all[1:] = self._all[0].children(recursive=True)
        self._each(psutil.Process.suspend)

    def _each(self, act: Callable[[psutil.Process], None]) -> None:
        for process in self._all:
            with suppress(psutil.NoSuchProcess):
                act(process)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20, help="pairs that count, six or more")
    parser.add_argument("--epochs", type=int, default=1, help="epochs of each fit")
    parser.add_argument("--python", help="interpreter that has TensorFlow")
    parser.add_argument("--engine-side", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.pairs < FEWEST_PAIRS:
        parser.error(f"--pairs: {FEWEST_PAIRS} or more")
    if options.engine_side:
        run_engine(options.epochs, options.python)
        return
    interpreter = choose_interpreter(get_engine(ENGINE).info, options.python)
    ours = [sys.executable, __file__, "--engine-side", f"--epochs={options.epochs}"]
    if options.python:
        ours.append(f"--python={options.python}")
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "mnist.npz"
        save_as_keras_does(data)
        bare = [str(interpreter.python), str(SCRIPT), str(data), str(options.epochs)]
        ratios = measure_pairs(
            options.pairs,
            lambda: Side(bare, interpreter.environment),
            lambda: Side(ours, os.environ),
        )
    found = located_ratio([math.log(ratio) for ratio in ratios])
    inside = found.low >= 1 - MARGIN and found.high <= 1 + MARGIN
    print(
        f"{len(ratios)} pairs of {options.epochs} epochs: "
        f"engine / script {found.median:.4f}, 95 % interval {found.low:.4f} to {found.high:.4f}: "
        f"{'inside' if inside else 'not inside'} 1 +- {MARGIN}"
    )


def run_engine(epochs: int, python: str | None) -> None:
    """The engine as epochmark measures it; prints when its training began and ended."""
    began_s = 0.0

    def note(report: Message) -> None:
        nonlocal began_s
        if report == Phase("training"):  # sent right before the clock starts
            began_s = time.monotonic()

    trained_ns = run(RunRequest(ENGINE, epochs=epochs), python, note).timing.trained_ns
    assert trained_ns is not None, "the engine says when its training was done"
    print(began_s, began_s + trained_ns / NANOSECONDS)


def measure_pairs(
    pairs: int, script: Callable[[], Side], engine: Callable[[], Side]
) -> list[float]:
    """Ratios engine / script, printed as they come; the first pair is not among them."""
    ratios = []
    for pair in range(pairs + 1):
        bare, ours = script(), engine()
        try:
            take_turns((bare, ours) if pair % 2 else (ours, bare))
        finally:
            bare.kill()
            ours.kill()
        bare_s, ours_s = bare.trained_s(), ours.trained_s()
        name = f"pair {pair}" if pair else "warm-up"
        print(
            f"{name}: script {bare_s:.3f} s, engine {ours_s:.3f} s, {ours_s / bare_s:.4f}",
            flush=True,
        )
        if pair:
            ratios.append(ours_s / bare_s)
    return ratios


def take_turns(sides: Sequence[Side]) -> None:
    """Until all have ended."""
    while not all(side.ended() for side in sides):
        for side in sides:
            if not side.ended():
                side.take_turn()


def save_as_keras_does(file: Path) -> None:
    """MNIST as the npz that ``keras.datasets.mnist.load_data`` reads."""
    folder = get_mnist(None, lambda what, done, total: None)
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(file, **dict(zip(names, read_idx_folder(folder), strict=True)))  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
