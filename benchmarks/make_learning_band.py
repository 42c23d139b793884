"""Measure where loss curve and accuracy of correct training lie, and store it in the package.

    python benchmarks/make_learning_band.py run RESULTS.jsonl --seeds 1 24 --threads 1
    python benchmarks/make_learning_band.py write RESULTS.jsonl [MORE.jsonl ...]

``run`` trains the native engine for the workload's full epochs, once per seed, and appends one JSON
line per finished run; seeds already in the file are skipped, so it may be interrupted and repeated,
or run twice at a time into two files. ``write`` turns at least 20 runs into
``src/epochmark/workloads/mnist_cnn/learning_band.json``.

A line: ``{"seed": 1, "epoch_losses": [ten, mean, training, losses, ...], "test_accuracy": 0.9885,
"test_loss": 0.043, "threads": 1, "kernel_version": 1}``. Losses in nats, as the run reports them.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from epochmark._version import __version__
from epochmark.datasets import get_mnist, read_idx_folder
from epochmark.engines import Settings, get_engine
from epochmark.native import kernel_version
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._proof import learning_band
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.registry import LEARNING_BAND, evidence_file

MINIMUM_RUNS = 20

Run = dict[str, Any]


class EpochLosses:
    """A stopwatch that keeps the epochs' losses and times nothing."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def wants_lap(self) -> bool:
        return False

    def lap(self, steps: int, loss: float | None = None, accuracy: float | None = None) -> bool:
        return True

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        self.losses.append(loss)
        return True

    def trained(self) -> None:
        """Nothing is timed."""


def train_once(seed: int, threads: int | None, data: Sequence[Any]) -> Run:
    """One full run of the native engine, as a line of the results file."""
    images, labels, test_images, test_labels = data
    engine = get_engine("native")
    engine.open(
        Settings(
            workload=MNIST_CNN,
            device="cpu",
            precision="float32",
            tuning="stock",
            seed=seed,
            epochs=MNIST_CNN.epochs,
            batch_size=MNIST_CNN.batch_size,
            threads=threads,
        )
    )
    loaded = engine.load(images, labels)
    engine.build(draw_weights(MNIST_CNN, seed))
    stopwatch = EpochLosses()
    engine.fit(loaded, stopwatch)
    test_loss, test_accuracy = engine.evaluate(test_images, test_labels)
    return {
        "seed": seed,
        "epoch_losses": stopwatch.losses,
        "test_accuracy": test_accuracy,
        "test_loss": test_loss,
        "threads": threads,
        "kernel_version": kernel_version(),
    }


def run_seeds(results: Path, seeds: range, threads: int | None) -> None:
    """Train every seed that ``results`` does not hold yet."""
    done = {run["seed"] for run in read_runs([results])} if results.exists() else set()
    data = read_idx_folder(get_mnist(None, lambda what, count, total: None))
    for seed in seeds:
        if seed in done:
            continue
        run = train_once(seed, threads, data)
        with results.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(run) + "\n")
        print(f"seed {seed}: test accuracy {run['test_accuracy']:.4f}", flush=True)


def read_runs(files: Iterable[Path]) -> list[Run]:
    """Runs of all files, in order of their seeds; of an interrupted write the half line is left."""
    runs: dict[int, Run] = {}
    for file in files:
        for line in file.read_text("utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                run: Run = json.loads(line)
                runs[run["seed"]] = run
    return [runs[seed] for seed in sorted(runs)]


def make_band(runs: Sequence[Run]) -> dict[str, Any]:
    """The content of the package's JSON file. Raises ValueError for too few or unfit runs."""
    if len(runs) < MINIMUM_RUNS:
        raise ValueError(f"{len(runs)} runs with different seeds, {MINIMUM_RUNS} are needed")
    versions = {run["kernel_version"] for run in runs}
    if len(versions) > 1:
        raise ValueError(f"the runs are of several kernel versions: {sorted(versions)}")
    for run in runs:
        if len(run["epoch_losses"]) != MNIST_CNN.epochs or not all(
            math.isfinite(loss) for loss in run["epoch_losses"]
        ):
            raise ValueError(f"seed {run['seed']} is not a full run of finite losses")
    by_epoch = zip(*(run["epoch_losses"] for run in runs), strict=True)
    accuracies = [run["test_accuracy"] for run in runs]
    return {
        "workload": MNIST_CNN.name,
        "workload_version": MNIST_CNN.version,
        "epoch_losses": [asdict(learning_band.positive_interval(losses)) for losses in by_epoch],
        "test_accuracy": asdict(learning_band.accuracy_interval(accuracies)),
        "provenance": {
            "script": "benchmarks/make_learning_band.py",
            "method": "two-sided normal tolerance interval (Howe 1969) of the logarithms of losses "
            "and of the error rate",
            "content": learning_band.CONTENT,
            "confidence": learning_band.CONFIDENCE,
            "factor": learning_band.tolerance_factor(len(runs)),
            "engine": "native",
            "kernel_version": versions.pop(),
            "runs": len(runs),
            "seeds": [run["seed"] for run in runs],
            "threads": sorted({run["threads"] for run in runs}, key=str),
            "epochmark": __version__,
            "numpy": np.__version__,
            "architecture": platform.machine(),
            "date": date.today().isoformat(),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="train, one line per finished run")
    run.add_argument("results", type=Path)
    run.add_argument("--seeds", type=int, nargs=2, required=True, metavar=("FIRST", "LAST"))
    run.add_argument("--threads", type=int)
    write = commands.add_parser("write", help="turn the runs into the package's JSON file")
    write.add_argument("results", type=Path, nargs="+")
    arguments = parser.parse_args()
    if arguments.command == "run":
        first, last = arguments.seeds
        run_seeds(arguments.results, range(first, last + 1), arguments.threads)
        return
    band = make_band(read_runs(arguments.results))
    path = evidence_file(MNIST_CNN, LEARNING_BAND)
    path.write_text(json.dumps(band, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
