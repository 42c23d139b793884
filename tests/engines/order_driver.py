"""Run by an engine's interpreter: which samples each step of a fit sees, and the laps it reports.

    python order_driver.py ENGINE JOB...

``JOB`` is JSON: ``samples``, ``epochs``, ``batch_size``, ``tuned_settings``, and
``stop_after_laps`` or null. The index of a sample is written in its first two pixels. Prints as
JSON a list with the answer to each: ``steps``, the indices of each step, ``laps`` and ``epochs``,
the steps of each.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from typing import Any, Dict, List, Optional

import numpy as np

from epochmark.engines import Settings, get_engine
from epochmark.workloads import MNIST_CNN
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.spec import Dense, Flatten

WORKLOAD = replace(
    MNIST_CNN,
    layers=(Flatten("flatten"), Dense("scores", units=10, activation="softmax")),
)
"""How samples are shuffled and gathered does not depend on the network."""


def indices_of(images: Any) -> List[int]:
    """The index of every image of a batch, whatever framework holds it, with channels anywhere."""
    pixels = np.asarray(images).reshape(len(images), 28, 28)
    digits = np.rint(pixels[:, 0, :2] * WORKLOAD.pixel_scale).astype(int)
    return [int(index) for index in digits @ (256, 1)]


def record_steps(engine: Any, steps: List[List[int]]) -> None:
    """Note the samples of every step: what enters the train step itself, a method ``step`` of the
    engine or of its training, or Keras's own."""
    training = engine if hasattr(engine, "step") else getattr(engine, "_training", None)
    if training is not None:
        step = training.step

        def noted_step(images: Any, labels: Any) -> Any:
            steps.append(indices_of(images))
            return step(images, labels)

        training.step = noted_step
        return
    model = engine._model
    if hasattr(model, "_make_train_function"):  # Keras 2.2, which PlaidML has
        model._make_train_function()
        train_function = model.train_function

        def noted_train_function(inputs: Any) -> Any:
            steps.append(indices_of(inputs[0]))
            return train_function(inputs)

        model.train_function = noted_train_function
        return
    model.run_eagerly = True
    train_step = model.train_step

    def noted_train_step(*arguments: Any) -> Any:
        steps.append(indices_of(arguments[-1][0]))
        return train_step(*arguments)

    model.train_step = noted_train_step


class Recorder:
    """A stopwatch that always wants a lap, and asks to stop after that many."""

    def __init__(self, stop_after_laps: Optional[int]) -> None:
        self.laps: List[int] = []
        self.epochs: List[int] = []
        self._stop_after = stop_after_laps

    def wants_lap(self) -> bool:
        return True

    def lap(
        self, steps: int, loss: Optional[float] = None, accuracy: Optional[float] = None
    ) -> bool:
        self.laps.append(steps)
        return len(self.laps) != self._stop_after

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        self.lap(steps)
        self.epochs.append(sum(self.laps))
        return True

    def trained(self) -> None:
        """Nothing is looked at here."""


def answer(name: str, job: Any) -> Dict[str, Any]:
    random = np.random.default_rng(0)
    samples = job["samples"]
    images = random.integers(0, 256, (samples, 28, 28), dtype=np.uint8)
    images[:, 0, 0], images[:, 0, 1] = np.divmod(np.arange(samples), 256)
    labels = random.integers(0, 10, samples, dtype=np.uint8)
    engine = get_engine(name)
    engine.open(
        Settings(
            workload=WORKLOAD,
            device="cpu",
            precision="stock",
            tuning="tuned" if job["tuned_settings"] else "stock",
            tuned_settings=job["tuned_settings"],
            seed=1,
            epochs=job["epochs"],
            batch_size=job["batch_size"],
            quick=True,
        )
    )
    data = engine.load(images, labels)
    engine.build(draw_weights(WORKLOAD, 1))
    steps: List[List[int]] = []
    recorder = Recorder(job["stop_after_laps"])
    record_steps(engine, steps)
    engine.fit(data, recorder)
    return {"steps": steps, "laps": recorder.laps, "epochs": recorder.epochs}


if __name__ == "__main__":
    engine_name, *jobs = sys.argv[1:]
    print(json.dumps([answer(engine_name, json.loads(job)) for job in jobs]))
