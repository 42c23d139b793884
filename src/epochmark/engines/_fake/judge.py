"""Judges of weights that nothing was computed from."""

from __future__ import annotations

from typing import Iterable, List, Tuple

import numpy as np

from epochmark.engines._shared.contract import Inputs, Targets, Weights
from epochmark.workloads import Workload
from epochmark.workloads._data.known_losses import lowest_test_loss
from epochmark.workloads._proof import continuation, reference, training_state

CONTINUED_LOSS = 0.1
"""Of every step after the timed fit."""


def pretended_test_loss(workload: Workload, samples: int, accuracy: float) -> float:
    """One that goes with the accuracy, and is not lower than any can be."""
    lowest = lowest_test_loss(workload, samples)
    return max(3 * (1 - accuracy), 0.0 if lowest is None else lowest.loss)


class PretendedJudge:
    """Implements ``float64.Judge`` for weights that nothing was computed from."""

    def __init__(self, workload: Workload) -> None:
        self._workload = workload

    def follow(
        self, start: training_state.State, batches: Iterable[continuation.Shares]
    ) -> Tuple[List[float], Weights]:
        steps = len(list(batches))
        weights = {name: array + np.float32(steps) for name, array in start.weights.items()}
        return [CONTINUED_LOSS] * steps, weights

    def evaluate(self, weights: Weights, inputs: Inputs, targets: Targets) -> reference.Worth:
        accuracy = float(next(iter(weights.values())).flat[0])
        loss = pretended_test_loss(self._workload, len(inputs), accuracy)
        if lowest_test_loss(self._workload, len(inputs)) is None:
            return reference.Worth(loss, accuracy)
        # who does not copy is right about half of a chain's symbols at best
        copies = accuracy > 0.5
        return reference.Worth(loss, accuracy, (2 * loss, 0.0) if copies else (loss, loss))
