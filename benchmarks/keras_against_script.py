"""Does keras-tensorflow time what the original script times? The paired ratio of their training.

    python benchmarks/keras_against_script.py [--pairs 20] [--epochs 1] [--python PATH]

Both sides do the same work: whole epochs of ``fit`` over the training set as NumPy float64 arrays.
One side is the script bare (``bare_script.py`` beside this), timing its ``fit`` with
``time.time()``; the other the engine through epochmark. Each in a fresh process with the same
interpreter and environment, and in a session of its own, since Linux shares out CPUs by sessions
(autogroups). The order is ABBA, so that a drift of the machine hits both alike; a first pair warms
the caches and does not count. On two quiet cores 20 pairs of an epoch take half an hour.

Compared is the time until the training has ended. TensorFlow's ``fit`` may return much later: its
input pipeline's tuner sleeps 10 ms, 20 ms, 40 ms and so on up to a minute, and in about every
second process its end is waited for asleep (docs/engines.md). That wait is printed, as ``+ s``.

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
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from epochmark.bench.interpreter import Interpreter, choose_interpreter
from epochmark.bench.request import RunRequest
from epochmark.bench.session import measure
from epochmark.datasets import get_mnist, read_idx_folder
from epochmark.engines import get_engine
from epochmark.hardware.machine import describe_machine

ENGINE = "keras-tensorflow"
SCRIPT = Path(__file__).with_name("bare_script.py")
MARGIN = 0.02
CONFIDENCE = 0.95
FEWEST_PAIRS = 6


class Fit(NamedTuple):
    """Seconds from the call of ``fit`` until the training had ended, and until it returned."""

    trained_s: float
    returned_s: float

    def __str__(self) -> str:
        return f"{self.trained_s:.3f} s + {self.returned_s - self.trained_s:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=20, help="pairs that count, six or more")
    parser.add_argument("--epochs", type=int, default=1, help="epochs of each fit")
    parser.add_argument("--python", help="interpreter that has TensorFlow")
    options = parser.parse_args()
    if options.pairs < FEWEST_PAIRS:
        parser.error(f"--pairs: {FEWEST_PAIRS} or more")
    interpreter = choose_interpreter(get_engine(ENGINE).info, options.python)
    folder = get_mnist(None, lambda what, done, total: None)
    with tempfile.TemporaryDirectory() as temporary:
        data = Path(temporary) / "mnist.npz"
        save_as_keras_does(folder, data)
        ratios = measure_pairs(
            options.pairs,
            lambda: time_script(interpreter, data, options.epochs),
            lambda: time_engine(interpreter, folder, options.epochs),
        )
    middle, low, high = ratio_interval(ratios)
    inside = low >= 1 - MARGIN and high <= 1 + MARGIN
    print(
        f"{len(ratios)} pairs of {options.epochs} epochs: "
        f"engine / script {middle:.4f}, 95 % interval {low:.4f} to {high:.4f}: "
        f"{'inside' if inside else 'not inside'} 1 +- {MARGIN}"
    )


def measure_pairs(pairs: int, script: Callable[[], Fit], engine: Callable[[], Fit]) -> list[float]:
    """Ratios engine / script, printed as they come; the first pair is not among them."""
    ratios = []
    for pair in range(pairs + 1):
        if pair % 2 == 0:
            bare, ours = script(), engine()
        else:
            ours, bare = engine(), script()
        name = f"pair {pair}" if pair else "warm-up"
        ratio = ours.trained_s / bare.trained_s
        print(f"{name}: script {bare}, engine {ours}, {ratio:.4f}", flush=True)
        if pair:
            ratios.append(ratio)
    return ratios


def ratio_interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Hodges-Lehmann estimate of the ratio and its interval, low and high."""
    logs = [math.log(ratio) for ratio in ratios]
    means = sorted(
        (one + other) / 2 for place, one in enumerate(logs) for other in logs[: place + 1]
    )
    rank = smallest_rank(len(logs))
    found = (statistics.median(means), means[rank - 1], means[-rank])
    middle, low, high = (math.exp(value) for value in found)
    return middle, low, high


def smallest_rank(pairs: int) -> int:
    """The largest k with ``2 P(T < k) <= 1 - CONFIDENCE``, T Wilcoxon's sum of positive ranks: the
    interval reaches from the k-th smallest of the pairwise means to the k-th largest."""
    counts = [1]  # how many sets of ranks have each sum
    for rank in range(1, pairs + 1):
        longer = counts + [0] * rank
        for total, number in enumerate(counts):
            longer[total + rank] += number
        counts = longer
    below, rank = 0, 0
    while 2 * (below + counts[rank]) <= (1 - CONFIDENCE) * 2**pairs:
        below += counts[rank]
        rank += 1
    return rank


def save_as_keras_does(folder: Path, file: Path) -> None:
    """MNIST as the npz that ``keras.datasets.mnist.load_data`` reads."""
    names = ("x_train", "y_train", "x_test", "y_test")
    np.savez(file, **dict(zip(names, read_idx_folder(folder), strict=True)))  # type: ignore[arg-type]


def time_script(interpreter: Interpreter, data: Path, epochs: int) -> Fit:
    """As the bare script prints it, in the environment a worker gets."""
    done = subprocess.run(
        [str(interpreter.python), str(SCRIPT), str(data), str(epochs)],
        env=dict(interpreter.environment),
        stdout=subprocess.PIPE,
        check=True,
        text=True,
        start_new_session=True,  # as a worker
    )
    trained_s, returned_s = map(float, done.stdout.split()[-2:])
    return Fit(trained_s, returned_s)


def time_engine(interpreter: Interpreter, folder: Path, epochs: int) -> Fit:
    """As epochmark measures it: the end of the last epoch's lap, and of the fit."""
    request = RunRequest(ENGINE, epochs=epochs)
    measured = measure(
        request, folder, describe_machine(None), lambda report: None, interpreter=interpreter
    )
    timing = measured.record.timing
    if timing.fit_ns is None:
        raise SystemExit(measured.stderr.decode(errors="replace"))
    return Fit(timing.laps[-1].end_ns / 1e9, timing.fit_ns / 1e9)


if __name__ == "__main__":
    main()
