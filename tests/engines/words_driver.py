"""Run by an engine's interpreter: train tiny workloads, in the replay and in a fit.

    python words_driver.py ENGINE OUTPUT WORKLOAD[:SETTING=VALUE]...

Prints JSON, for each as it was asked for: the ``epochs`` of a fit of two (steps, loss, accuracy),
the ``steps`` counted in the state behind it, ``loss`` and ``accuracy`` of the evaluation, and the
``replay`` losses of all batches in their order. The states go to ``OUTPUT`` (npz), as
``<as asked>/<part>/<parameter>``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from epochmark.engines import Settings, get_engine

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.engines.tiny_workloads import (
    BATCH,
    TINY,
    batches_of,
    draw_parameters,
    draw_samples,
)


class Recorder:
    """A stopwatch that wants no laps, and counts the steps of those it gets all the same."""

    def __init__(self) -> None:
        self._steps = 0
        self.epochs: List[Tuple[int, float, float]] = []

    def wants_lap(self) -> bool:
        return False

    def lap(
        self, steps: int, loss: Optional[float] = None, accuracy: Optional[float] = None
    ) -> bool:
        self._steps += steps
        return True

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        self.epochs.append((self._steps + steps, float(loss), float(accuracy)))
        self._steps = 0
        return True

    def trained(self) -> None:
        """Nothing is looked at here."""


def train(engine: Any, asked: str, arrays: Dict[str, Any]) -> Dict[str, Any]:
    name, _, setting = asked.partition(":")
    workload = TINY[name]
    tuned = dict([setting.split("=")]) if setting else {}
    precision, tuning = ("float32", "tuned") if tuned else ("stock", "stock")
    settings = Settings(
        workload, "cpu", precision, tuning, 1, 2, batch_size=BATCH, tuned_settings=tuned
    )
    engine.open(settings)
    parts = workload.epochs if workload.passes == "once" else 1
    data = draw_samples(workload, parts * workload.train_samples)
    parameters = draw_parameters(workload)
    engine.build(parameters)
    recorder = Recorder()
    engine.fit(engine.load(*data), recorder)
    state = engine.state()
    for part in ("weights", "first", "second"):
        for parameter, array in getattr(state, part).items():
            arrays[f"{asked}/{part}/{parameter}"] = array
    loss, accuracy = engine.evaluate(*data)
    return {
        "epochs": recorder.epochs,
        "steps": state.steps,
        "loss": loss,
        "accuracy": accuracy,
        "devices": engine.observed_devices(),
        "settings": {key: str(value) for key, value in engine.effective_settings().items()},
        "replay": engine.replay(parameters, list(batches_of(data))),
    }


def main(engine: str, output: str, *workloads: str) -> None:
    arrays: Dict[str, Any] = {}
    found = {name: train(get_engine(engine), name, arrays) for name in workloads}
    np.savez(output, **arrays)
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
