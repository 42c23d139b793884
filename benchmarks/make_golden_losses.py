"""Compute the replay's golden losses with the float64 reference and store them in the package.

    python benchmarks/make_golden_losses.py FOLDER_WITH_THE_FOUR_MNIST_FILES [--version N]

Writes one version of the replay into ``src/epochmark/workloads/mnist_cnn/golden_losses.json`` and
leaves the others as they are: records made with them are judged by them. Needed only when the
workload changes or there is a new version of the replay; takes about half a minute.
"""

from __future__ import annotations

import argparse
import json
import platform
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from epochmark.datasets.mnist import verify_folder
from epochmark.workloads import MNIST_CNN, parity, reference
from epochmark.workloads.mnist_files import read_idx_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the four MNIST files (IDX)")
    parser.add_argument(
        "--version", type=int, default=parity.REPLAY_VERSION, choices=sorted(parity.REPLAYS)
    )
    options = parser.parse_args()
    verify_folder(options.folder)
    images, labels, _, _ = read_idx_folder(options.folder)
    path = parity.golden_path(MNIST_CNN)
    stored = json.loads(path.read_text("utf-8"))
    if stored["workload_version"] != MNIST_CNN.version:
        stored = {"workload": MNIST_CNN.name, "workload_version": MNIST_CNN.version, "replays": {}}
    stored["replays"][str(options.version)] = compute_golden(options.version, images, labels)
    path.write_text(json.dumps(stored, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")


def compute_golden(version: int, images: parity.Pixels, labels: parity.Pixels) -> dict[str, Any]:
    """Golden losses of one version of the replay, and where they come from."""
    replay = parity.REPLAYS[version]
    weights = parity.draw_replay_weights(MNIST_CNN, version)
    batches = parity.take_replay_batches(MNIST_CNN, images, labels, version)
    seed = replay.pixels_seed
    drawn = "" if seed is None else f", their lowest four bits drawn (seed {seed})"
    return {
        "weights_sha256": parity.sum_of_arrays(weights.values()),
        "batches_sha256": parity.sum_of_arrays(array for batch in batches for array in batch),
        "losses": {
            form: reference.train(MNIST_CNN, weights, batches, form)[0]
            for form in reference.ADAM_FORMS
        },
        "provenance": {
            "script": "benchmarks/make_golden_losses.py",
            "method": "float64 NumPy training steps of epochmark.workloads.reference",
            "weights": f"draw_weights(seed={replay.weights_seed}, "
            f"bias_range={parity.REPLAY_BIAS_RANGE})",
            "batches": f"first 10 x 128 MNIST training images in file order{drawn}",
            "python": platform.python_version(),
            "numpy": np.__version__,
            "architecture": platform.machine(),
            "date": date.today().isoformat(),
        },
    }


if __name__ == "__main__":
    main()
