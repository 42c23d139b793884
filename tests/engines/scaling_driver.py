"""Run by an engine's interpreter: a process of a data-parallel training of tiny workloads.

    python scaling_driver.py ENGINE DEVICES RANK MEETING_FILE_OR_NOTHING

Prints as JSON, for each workload: its part of the losses of the replay, with Adam and with SGD; the
SHA-256 of the parameters on each device after a fit of a few steps; how often a lap was asked for;
and the settings it reports.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import List, Optional

from epochmark.engines import Group, Settings, get_engine
from epochmark.workloads import Workload
from epochmark.workloads.spec import SGD

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.engines.tiny_workloads import (
    BATCH,
    GPT,
    MLP,
    batches_of,
    draw_parameters,
    draw_samples,
)

RATE = 0.05
STEPS = 4
LARGE = 1000


class FewSteps:
    """A stopwatch that ends the fit after ``STEPS`` steps."""

    def __init__(self) -> None:
        self.asked = 0
        self.losses: List[Optional[float]] = []

    def wants_lap(self) -> bool:
        self.asked += 1
        return True

    def lap(
        self, steps: int, loss: Optional[float] = None, accuracy: Optional[float] = None
    ) -> bool:
        self.losses.append(loss)
        return self.asked < STEPS

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        raise AssertionError("steps are counted, not epochs")

    def trained(self) -> None:
        pass


def of_workload(engine: str, workload: Workload, group: Group) -> dict[str, object]:
    training = get_engine(engine).data_parallel(group)
    settings = Settings(workload, "cpu", "float32", "stock", 1, STEPS, BATCH)
    training.open(settings)
    samples, weights = draw_samples(workload, workload.train_samples), draw_parameters(workload)
    training.build(weights)
    stopwatch = FewSteps()
    training.fit(training.load(*samples), stopwatch)
    replicas = training.replicas()
    batches = list(batches_of(samples))
    training.all_reduce(LARGE)()
    return {
        "adam": training.replay(weights, batches),
        "sgd": training.replay(weights, batches, SGD(RATE)),
        "replicas": [[replica.device, replica.sha256] for replica in replicas],
        "asked": stopwatch.asked,
        "losses": stopwatch.losses,
        "settings": {name: str(value) for name, value in training.effective_settings().items()},
        "forward_s": training.forward_s(),
    }


def main(engine: str, devices: str, rank: str, meeting: str = "") -> None:
    found = {}
    for workload in (MLP, GPT):
        file = f"{meeting}-{workload.name}" if meeting else None
        found[workload.name] = of_workload(engine, workload, Group(int(devices), int(rank), file))
        leave(engine)
    print(json.dumps(found))


def leave(engine: str) -> None:
    """Before the processes meet again."""
    if engine == "torch":
        import torch.distributed

        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(*sys.argv[1:])
