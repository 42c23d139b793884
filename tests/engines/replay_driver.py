"""Run by an engine's interpreter: the losses of its parity replay.

    python replay_driver.py ENGINE PRECISION FOLDER_WITH_THE_FOUR_MNIST_FILES \
        [VERSION [STEPS [WORKLOAD[:sgd]]]]

Prints them as JSON. A worker's run would also evaluate 10,000 test images, which CPUs without
bfloat16 do very slowly.
"""

from __future__ import annotations

import json
import sys

from epochmark.engines import Settings, get_engine
from epochmark.workloads import WORKLOADS
from epochmark.workloads._data.mnist_files import read_idx_folder
from epochmark.workloads._proof import replay_data


def main(
    name: str,
    precision: str,
    folder: str,
    version: str = str(replay_data.REPLAY_VERSION),
    steps: str = str(replay_data.REPLAY_STEPS),
    work: str = "mnist-cnn",
) -> None:
    images, labels, _, _ = read_idx_folder(folder)
    workload_name, _, optimizer = work.partition(":")
    workload, engine = WORKLOADS[workload_name], get_engine(name)
    engine.open(Settings(workload, "cpu", precision, "stock", seed=1, epochs=1, batch_size=128))
    weights = replay_data.replay_weights(workload, int(version))
    batches = replay_data.replay_batches(workload, images, labels, int(version))
    plain = replay_data.replay_sgd(workload) if optimizer == "sgd" else None
    print(json.dumps(engine.replay(weights, batches[: int(steps)], plain)))


if __name__ == "__main__":
    main(*sys.argv[1:])
