"""Run by PyTorch's interpreter, with the defective engine among ours: replays of many defects.

    python defects_driver.py defective-torch WORKLOAD FOLDER PRECISION RATE DEFECT...

One import for all of them. Prints as JSON what each defect makes of the replay: of a tiny workload
the losses, with plain SGD of this learning rate unless it is 0; of any other, whose data lie in
FOLDER where they are not generated, the losses of both its replays, with Adam (its first steps) and
with SGD.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Callable

from epochmark.engines.defective_torch import DEFECTS  # type: ignore[import-not-found]

from epochmark.engines import Engine, Settings
from epochmark.workloads import WORKLOADS, Workload
from epochmark.workloads._data import read_data
from epochmark.workloads._proof import replay_data
from epochmark.workloads.spec import SGD

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.engines.tiny_workloads import (
    TINY,
    batches_of,
    draw_parameters,
    draw_samples,
)

RIGHT = ("none", "attention by hand")
ADAM_STEPS = {"float32": (replay_data.REPLAY_STEPS, 4), "bfloat16": (4, 3)}
"""Of what is right, and of a defect, which shows early; many processors have no bfloat16."""


def main(engine: str, name: str, folder: str, precision: str, rate: str, *defects: str) -> None:
    workload = TINY[name] if name in TINY else WORKLOADS[name]
    is_tiny = name in TINY
    replayed = replays_of_tiny(workload, float(rate)) if is_tiny else replays_of(workload, folder)
    right_steps, wrong_steps = ADAM_STEPS[precision]
    losses = {}
    for defect in defects:
        found = DEFECTS[defect]()
        asked = Settings(workload, "cpu", precision, "stock", 1, 1, workload.batch_size, threads=1)
        found.open(asked)
        losses[defect] = replayed(found, right_steps if defect in RIGHT else wrong_steps)
    print(json.dumps(losses))


def replays_of_tiny(workload: Workload, rate: float) -> Callable[[Engine, int], Any]:
    weights = draw_parameters(workload)
    batches = list(batches_of(draw_samples(workload, workload.train_samples)))
    optimizer = SGD(rate) if rate else None
    return lambda engine, steps: engine.replay(weights, batches, optimizer)


def replays_of(workload: Workload, folder: str) -> Callable[[Engine, int], Any]:
    weights, data = replay_data.replay_weights(workload), read_data(workload, folder)
    batches = replay_data.replay_batches(workload, data.inputs, data.targets)
    first, sgd = batches[: replay_data.SGD_STEPS], replay_data.replay_sgd(workload)
    return lambda engine, steps: (
        engine.replay(weights, batches[:steps]),
        engine.replay(weights, first, sgd),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
