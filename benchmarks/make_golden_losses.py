"""Compute the replay's golden losses with the float64 reference and store them in the package.

    python benchmarks/make_golden_losses.py FOLDER_WITH_THE_FOUR_MNIST_FILES

Rewrites ``src/epochmark/workloads/mnist_cnn_golden_losses.json``. Needed only when the workload or
the replay's definition changes; takes about half a minute.
"""

from __future__ import annotations

import argparse
import json
import platform
from datetime import date
from pathlib import Path

import numpy as np

from epochmark.datasets.mnist import verify_folder
from epochmark.workloads import MNIST_CNN, parity, reference
from epochmark.workloads.mnist_files import read_idx_folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="folder with the four MNIST files (IDX)")
    folder = parser.parse_args().folder
    verify_folder(folder)
    images, labels, _, _ = read_idx_folder(folder)
    weights = parity.draw_replay_weights(MNIST_CNN)
    batches = parity.take_replay_batches(MNIST_CNN, images, labels)
    golden = {
        "workload": MNIST_CNN.name,
        "workload_version": MNIST_CNN.version,
        "weights_sha256": parity.sum_of_arrays(weights.values()),
        "batches_sha256": parity.sum_of_arrays(array for batch in batches for array in batch),
        "losses": {
            form: reference.train(MNIST_CNN, weights, batches, form)[0]
            for form in reference.ADAM_FORMS
        },
        "provenance": {
            "script": "benchmarks/make_golden_losses.py",
            "method": "float64 NumPy training steps of epochmark.workloads.reference",
            "weights": f"draw_weights(seed={parity.REPLAY_SEED}, "
            f"bias_range={parity.REPLAY_BIAS_RANGE})",
            "batches": "first 10 x 128 MNIST training images in file order",
            "python": platform.python_version(),
            "numpy": np.__version__,
            "architecture": platform.machine(),
            "date": date.today().isoformat(),
        },
    }
    path = parity.golden_path(MNIST_CNN)
    path.write_text(json.dumps(golden, indent=2) + "\n", encoding="utf-8")
    print(f"wrote {path}")


if __name__ == "__main__":
    main()
