"""Run by an engine's interpreter: train, tell the state, continue batch by batch and tell it again.

    python state_driver.py ENGINE FOLDER_WITH_THE_FOUR_MNIST_FILES OUTPUT SETTINGS

``SETTINGS`` is JSON: fields of ``Settings`` that depart from the defaults here, and ``further``,
the number of batches that follow. Prints the losses of those and the steps counted in each state as
JSON; the states' arrays go to ``OUTPUT`` (npz), as ``<state>.<part>.<parameter>``.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Dict, List, Optional

import numpy as np

from epochmark.engines import Settings, TrainingState, get_engine
from epochmark.workloads import MNIST_CNN
from epochmark.workloads._data.mnist_files import read_idx_folder
from epochmark.workloads._proof.replay_data import draw_lowest_bits
from epochmark.workloads.initial_weights import draw_weights

BATCH_SIZE = 32
"""A quarter of the workload's: some frameworks take seconds for a step on a CPU."""
TRAINED_IMAGES = 2 * BATCH_SIZE + 8
"""Three steps an epoch, the last one of fewer images."""

DEFAULTS: Dict[str, Any] = {
    "device": "cpu",
    "precision": "float32",
    "tuning": "stock",
    "seed": 1,
    "epochs": 10,
    "batch_size": BATCH_SIZE,
}


class Watch:
    """A stopwatch that wants no laps; what it answers to those it gets is ``go_on``."""

    def __init__(self, go_on: bool) -> None:
        self._go_on = go_on
        self.losses: List[Any] = []

    def wants_lap(self) -> bool:
        return False

    def lap(
        self, steps: int, loss: Optional[float] = None, accuracy: Optional[float] = None
    ) -> bool:
        self.losses.append(loss)
        return self._go_on

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        return self.lap(steps, loss, accuracy)

    def trained(self) -> None:
        pass


def main(name: str, folder: str, output: str, departures: str) -> None:
    images, labels, _, _ = read_idx_folder(folder)
    given = json.loads(departures)
    further = int(given.pop("further"))
    engine = get_engine(name)
    engine.open(Settings(MNIST_CNN, **{**DEFAULTS, **given}))
    pixels = draw_lowest_bits(images[: TRAINED_IMAGES + BATCH_SIZE * further], 7)
    data = engine.load(pixels[:TRAINED_IMAGES], labels[:TRAINED_IMAGES])
    engine.build(draw_weights(MNIST_CNN, 1))
    engine.fit(data, Watch(go_on=True))
    states, losses = [engine.state()], []
    _overwrite(engine.state())  # copies: nothing that follows may notice
    for start in range(TRAINED_IMAGES, len(pixels), BATCH_SIZE):
        batch = slice(start, start + BATCH_SIZE)
        watch = Watch(go_on=False)
        engine.fit(engine.load(pixels[batch], labels[batch]), watch)
        (loss,) = watch.losses
        losses.append(float(loss))
        states.append(engine.state())
    np.savez(output, **_named(states))
    print(json.dumps({"losses": losses, "steps": [state.steps for state in states]}))


def _overwrite(state: TrainingState) -> None:
    for arrays in (state.weights, state.first, state.second):
        for array in arrays.values():
            array[...] = 1


def _named(states: List[TrainingState]) -> Dict[str, Any]:
    return {
        f"{index}.{part}.{name}": array
        for index, state in enumerate(states)
        for part in ("weights", "first", "second")
        for name, array in getattr(state, part).items()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
