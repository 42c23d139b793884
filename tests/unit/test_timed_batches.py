"""The loop of hand-written engines: every sample once an epoch, and laps that add up."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from epochmark.engines import Settings
from epochmark.engines._shared.batches import Calls, timed_batches
from epochmark.workloads import MNIST_CNN

SAMPLES = 10


@dataclass
class RecordingStopwatch:
    """Wants a lap whenever it is asked if ``eager``; writes down what it hears. The fit shall end
    at the first lap if ``ends``."""

    eager: bool = False
    ends: bool = False
    laps: list[tuple[int, float | None]] = field(default_factory=list)
    epochs: list[tuple[int, float, float]] = field(default_factory=list)

    def wants_lap(self) -> bool:
        return self.eager

    def lap(self, steps: int, loss: float | None = None, accuracy: float | None = None) -> bool:
        self.laps.append((steps, loss))
        return not self.ends

    def epoch(self, steps: int, loss: float, accuracy: float) -> bool:
        self.epochs.append((steps, loss, accuracy))
        return True

    def trained(self) -> None:
        """Nothing is looked at here."""


def train(
    stopwatch: RecordingStopwatch,
    epochs: int = 2,
    max_steps: int | None = None,
    since_epoch: list[int] | None = None,
) -> list[list[int]]:
    """The batches of a run over ten samples whose loss is their index and of which the even are
    right. ``since_epoch`` holds the samples whose sums were not taken yet."""
    settings = Settings(
        MNIST_CNN, "cpu", "stock", "stock", 1, epochs, batch_size=4, max_steps=max_steps
    )
    seen: list[list[int]] = []
    since_epoch = [] if since_epoch is None else since_epoch

    def take_sums() -> tuple[float, float]:
        loss_sum = float(sum(since_epoch))
        correct = float(sum(index % 2 == 0 for index in since_epoch))
        since_epoch.clear()
        return loss_sum, correct

    for batch in timed_batches(settings, SAMPLES, stopwatch, lambda: None, take_sums):
        seen.append(batch.tolist())
        since_epoch.extend(batch.tolist())
    return seen


def test_every_sample_once_an_epoch_in_a_new_order() -> None:
    batches = train(RecordingStopwatch())
    assert [len(batch) for batch in batches] == [4, 4, 2] * 2
    first, second = np.concatenate(batches[:3]), np.concatenate(batches[3:])
    assert sorted(first) == sorted(second) == list(range(SAMPLES))
    assert list(first) != list(second)


def test_means_are_weighted_by_samples() -> None:
    stopwatch = RecordingStopwatch()
    train(stopwatch)
    assert [(loss, accuracy) for _, loss, accuracy in stopwatch.epochs] == [(4.5, 0.5)] * 2


@pytest.mark.parametrize("eager", [False, True])
def test_the_first_lap_ends_after_the_first_step(eager: bool) -> None:
    stopwatch = RecordingStopwatch(eager)
    train(stopwatch)
    assert stopwatch.laps == [(1, None)] * (4 if eager else 1)
    assert [steps for steps, _, _ in stopwatch.epochs] == ([1, 1] if eager else [2, 3])


def test_a_limit_inside_an_epoch_ends_in_a_lap_with_the_loss_so_far() -> None:
    stopwatch = RecordingStopwatch()
    batches = train(stopwatch, max_steps=5)
    assert len(batches) == 5
    assert stopwatch.laps == [(1, None), (2, pytest.approx(np.mean(batches[3] + batches[4])))]
    assert len(stopwatch.epochs) == 1


def test_a_limit_at_the_end_of_an_epoch_ends_in_that_epoch() -> None:
    stopwatch = RecordingStopwatch()
    assert len(train(stopwatch, epochs=3, max_steps=6)) == 6
    assert len(stopwatch.epochs) == 2


def test_a_lap_that_ends_the_fit_leaves_nothing_for_the_evaluation_to_count() -> None:
    left: list[int] = []
    assert len(train(RecordingStopwatch(eager=True, ends=True), since_epoch=left)) == 1
    assert left == []


class RecordingTraining:
    """Writes down the labels of every call: of one step flat, of several one list each."""

    def __init__(self) -> None:
        self.calls: list[list[int] | list[list[int]]] = []

    def step(self, images: np.ndarray, labels: np.ndarray) -> None:
        assert (images == labels).all()
        self.calls.append(labels.tolist())

    steps = step

    def synchronise(self) -> None:
        self.calls.append([])

    def take_sums(self) -> tuple[float, float]:
        return 0.0, 0.0


def calls_of(together: int, *batches: list[int]) -> list[list[int] | list[list[int]]]:
    training = RecordingTraining()
    calls = Calls(training, np.arange(SAMPLES), np.arange(SAMPLES), together)
    for batch in batches:
        calls.add(np.array(batch))
    calls.synchronise()
    return training.calls


def test_several_steps_go_into_one_call_in_their_order() -> None:
    assert calls_of(2, [0, 1], [2, 3], [4, 5], [6, 7]) == [[[0, 1], [2, 3]], [[4, 5], [6, 7]], []]


def test_what_fills_no_call_is_done_step_by_step_before_the_device_is_waited_for() -> None:
    assert calls_of(3, [0, 1], [2, 3]) == [[0, 1], [2, 3], []]


def test_a_smaller_batch_is_in_no_call_with_larger_ones() -> None:
    assert calls_of(2, [0, 1], [2]) == [[0, 1], [2], []]


def test_one_step_a_call_is_a_plain_step() -> None:
    assert calls_of(1, [0, 1], [2, 3]) == [[0, 1], [2, 3], []]
