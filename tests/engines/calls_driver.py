"""Run by JAX's interpreter: the same training with one and with several steps in a call.

    python calls_driver.py jax

Prints JSON: for 1 and for 4 steps a call the ``losses`` of ten replayed steps, and of a fit of two
epochs of seven steps, the last one smaller, its ``epochs`` (loss and accuracy of each).
"""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from epochmark.engines import Settings, get_engine
from epochmark.workloads import WORKLOADS
from epochmark.workloads.initial_weights import draw_weights

SAMPLES, BATCH = 100, 16


class Recorder:
    """A stopwatch that wants a lap every third time."""

    def __init__(self) -> None:
        self.asked = 0
        self.epochs: List[Tuple[int, float, float]] = []

    def wants_lap(self) -> bool:
        self.asked += 1
        return self.asked % 3 == 0

    def lap(
        self, steps: int, loss: Optional[float] = None, accuracy: Optional[float] = None
    ) -> bool:
        return True

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        self.epochs.append((steps, loss, accuracy))
        return True

    def trained(self) -> None:
        """Nothing is looked at here."""


def train(name: str, steps_per_call: int) -> Dict[str, Any]:
    workload = WORKLOADS["small-mlp"]
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (SAMPLES, 28, 28), dtype=np.uint8)
    labels = random.integers(0, 10, SAMPLES, dtype=np.uint8)
    engine: Any = get_engine(name)
    engine.open(
        Settings(workload, "cpu", "stock", "stock", 1, 2, batch_size=BATCH, quick=True)
    )  # the setting is offered for GPUs and TPUs only
    engine._tuned = {**engine._tuned, "steps_per_call": str(steps_per_call)}
    weights = draw_weights(workload, 1)
    data = engine.load(images, labels)
    engine.build(weights)
    recorder = Recorder()
    engine.fit(data, recorder)
    batches = [(images[:BATCH], labels[:BATCH])] * 10
    return {
        "execution": engine.effective_settings()["execution"],
        "epochs": recorder.epochs,
        "losses": engine.replay(weights, batches),
    }


if __name__ == "__main__":
    print(json.dumps([train(sys.argv[1], count) for count in (1, 4)]))
