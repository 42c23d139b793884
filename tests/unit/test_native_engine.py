"""The native engine under a stopwatch that writes down what it hears."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional

import numpy as np
import pytest

from epochmark import native
from epochmark.engines import DeviceUnavailableError, Settings
from epochmark.engines.native import NativeEngine
from epochmark.workloads import MNIST_CNN, WORKLOADS
from epochmark.workloads._proof import reference
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.spec import SGD, Images

from .test_native_gradients import random_batch

IMAGES, LABELS = random_batch(50)
FLOAT32 = 1e-6
"""Relative error of a loss."""


@dataclass
class Notes:
    """A stopwatch that wants a lap after every step if ``wanting``, and asks to stop after that
    many laps or epochs."""

    wanting: bool = False
    stop_after_laps: Optional[int] = None
    stop_after_epochs: Optional[int] = None
    laps: list[int] = field(default_factory=list)
    epochs: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    def wants_lap(self) -> bool:
        return self.wanting

    def lap(
        self, steps: int, loss: Optional[float] = None, accuracy: Optional[float] = None
    ) -> bool:
        assert loss is not None
        assert accuracy is not None
        self.laps.append(steps)
        return len(self.laps) != self.stop_after_laps

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        assert 0.0 <= accuracy <= 1.0
        self.epochs.append(steps)
        self.losses.append(loss)
        return len(self.epochs) != self.stop_after_epochs

    def trained(self) -> None:
        """Nothing is looked at here."""


def fit(notes: Notes, epochs: int = 2, max_steps: Optional[int] = None) -> NativeEngine:
    engine = NativeEngine()
    engine.open(
        Settings(
            workload=MNIST_CNN,
            device="cpu",
            precision="float32",
            tuning="stock",
            seed=1,
            epochs=epochs,
            batch_size=16,
            threads=2,
            max_steps=max_steps,
        )
    )
    data = engine.load(IMAGES, LABELS)
    engine.build(draw_weights(MNIST_CNN, seed=2))
    engine.fit(data, notes)
    return engine


def test_whole_epochs() -> None:
    notes = Notes()
    engine = fit(notes, epochs=6)
    assert notes == Notes(epochs=[4] * 6, losses=notes.losses)
    assert notes.losses[-1] < notes.losses[0]
    loss, accuracy = engine.evaluate(IMAGES, LABELS)
    assert 0.0 < loss < notes.losses[0]
    assert 0.0 < accuracy <= 1.0
    assert engine.observed_devices() == ["cpu"]
    assert engine.effective_settings() == {
        "threads": 2,
        "instruction_set": native.instruction_sets()[0],
        "kernel_version": native.describe("mnist-cnn").kernel_version,
        "build": "Release",
        "compiler": native.compiler(),
        "compute_type": "float32",
    }


def test_laps_inside_the_epoch_when_wanted() -> None:
    notes = Notes(wanting=True)
    fit(notes)
    assert notes.laps == [1] * 6
    assert notes.epochs == [1, 1]


@pytest.mark.parametrize(
    ("max_steps", "epochs", "laps"), [(3, [], [3]), (4, [4], []), (6, [4], [2]), (99, [4, 4], [])]
)
def test_max_steps(max_steps: int, epochs: list[int], laps: list[int]) -> None:
    notes = Notes()
    fit(notes, max_steps=max_steps)
    assert (notes.epochs, notes.laps) == (epochs, laps)


def test_stops_when_the_stopwatch_says_so() -> None:
    notes = Notes(stop_after_epochs=1)
    fit(notes, epochs=5)
    assert notes.epochs == [4]
    notes = Notes(wanting=True, stop_after_laps=2)
    fit(notes, epochs=5)
    assert (notes.laps, notes.epochs) == ([1, 1], [])


def test_every_image_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[np.uint32] = []
    train_step = native.Network.train_step

    def watch(
        self: native.Network, images: native.Samples, labels: native.Samples, order: native.Order
    ) -> native.StepResult:
        seen.extend(order)
        return train_step(self, images, labels, order)

    monkeypatch.setattr(native.Network, "train_step", watch)
    fit(Notes())
    first, second = seen[:50], seen[50:]
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second


def test_a_replay_leaves_the_trained_model_alone() -> None:
    engine = fit(Notes())
    before = engine.evaluate(IMAGES, LABELS)
    weights = draw_weights(MNIST_CNN, seed=4)
    batches = [(IMAGES[:20], LABELS[:20]), (IMAGES[20:], LABELS[20:])]
    assert engine.replay(weights, batches) == engine.replay(weights, batches)
    assert engine.evaluate(IMAGES, LABELS) == before


def test_the_engine_offers_what_its_library_trains() -> None:
    assert NativeEngine.info.workloads == tuple(native.workloads())
    for workload in map(WORKLOADS.__getitem__, native.workloads()):
        images = isinstance(workload.input, Images)
        inputs = np.zeros((1, *workload.input_shape[: 2 if images else 1]), np.uint8)
        # compares the workload's sizes with the library's
        native.check_data(workload, inputs, np.zeros(1, np.uint8) if images else inputs)


def test_only_the_cpu() -> None:
    settings = Settings(MNIST_CNN, "gpu", "float32", "stock", seed=0, epochs=1, batch_size=16)
    with pytest.raises(DeviceUnavailableError, match="'gpu'; it trains on: cpu"):
        NativeEngine().open(settings)


RATE = 0.1


@pytest.mark.parametrize("scale", [1.0, 1.01])
def test_a_replay_by_sgd_refuses_gradients_one_percent_too_large(
    scale: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Adam divides their scale out. PyTorch's is refused likewise (tests/engines/test_defects)."""
    gradients = native.Network.gradients

    def scaled(
        self: native.Network, images: native.Samples, labels: native.Samples
    ) -> tuple[native.StepResult, dict[str, Any]]:
        result, exact = gradients(self, images, labels)
        return result, {name: np.float32(scale) * array for name, array in exact.items()}

    monkeypatch.setattr(native.Network, "gradients", scaled)
    batches = [(IMAGES[start : start + 16], LABELS[start : start + 16]) for start in (0, 16, 32)]
    weights = draw_weights(MNIST_CNN, seed=4, bias_range=0.1)
    losses = fit(Notes(), max_steps=1).replay(weights, batches, SGD(RATE))
    right, _ = reference.train(MNIST_CNN, weights, batches, "epsilon_hat", optimizer=SGD(RATE))
    error = max(abs(loss / true - 1) for loss, true in zip(losses, right, strict=True))
    assert error < FLOAT32 if scale == 1.0 else error > 100 * FLOAT32
