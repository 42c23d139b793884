"""Run by PyTorch's interpreter, with the defective engine among ours: replays of many defects.

    python defects_driver.py defective-torch WORKLOAD FOLDER_WITH_MNIST_FILES RATE DEFECT...

One import for all of them. Prints as JSON the losses of the replay with each defect; with plain SGD
of this learning rate unless it is 0. FOLDER is not looked at for a tiny workload, or one whose data
are generated.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from epochmark.engines.defective_torch import DEFECTS  # type: ignore[import-not-found]

from epochmark.engines import Settings
from epochmark.workloads import WORKLOADS
from epochmark.workloads._data import read_data
from epochmark.workloads._proof import parity
from epochmark.workloads.spec import SGD

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.engines.tiny_workloads import (
    TINY,
    batches_of,
    draw_parameters,
    draw_samples,
)


def main(engine: str, name: str, folder: str, rate: str, *defects: str) -> None:
    if name in TINY:
        workload = TINY[name]
        weights = draw_parameters(workload)
        batches = list(batches_of(draw_samples(workload, workload.train_samples)))
    else:
        workload = WORKLOADS[name]
        data = read_data(workload, folder)
        weights = parity.replay_weights(workload)
        batches = parity.replay_batches(workload, data.inputs, data.targets)
    losses = {}
    for defect in defects:
        found = DEFECTS[defect]()
        asked = Settings(workload, "cpu", "float32", "stock", 1, 1, workload.batch_size, threads=1)
        found.open(asked)
        optimizer = SGD(float(rate)) if float(rate) else None
        losses[defect] = found.replay(weights, batches, optimizer)
    print(json.dumps(losses))


if __name__ == "__main__":
    main(*sys.argv[1:])
