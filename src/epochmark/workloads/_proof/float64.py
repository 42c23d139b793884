"""Our own training steps in float64 from an engine's state, and how far the engine is from them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

from epochmark.workloads._proof import reference
from epochmark.workloads._proof.continuation import Shares
from epochmark.workloads._proof.replay_data import Samples
from epochmark.workloads._proof.training_state import State, Weights
from epochmark.workloads.shapes import judged_parameters
from epochmark.workloads.spec import Workload

PART_BYTES = 17 << 20
"""Of activations in float64 that are held at one time, without their gradients: 32 images of
``mnist-cnn``."""


class Judge(Protocol):
    """Who says what is right."""

    def follow(self, start: State, batches: Iterable[Shares]) -> tuple[list[float], Weights]:
        """Train from a state on these batches: their losses before each update, and the weights."""

    def evaluate(self, weights: Weights, inputs: Samples, targets: Samples) -> reference.Worth:
        """What these weights are worth on a test set."""


class Float64:
    """Our own code, ``workloads._proof.reference``, with Adam in the engine's form."""

    def __init__(self, workload: Workload, form: str) -> None:
        self._workload, self._form = workload, form

    def follow(self, start: State, batches: Iterable[Shares]) -> tuple[list[float], Weights]:
        optimizer = reference.AdamOptimizer(
            self._workload.optimizer, self._form, start.first, start.second, start.steps
        )
        weights, losses = start.weights, []
        with np.errstate(all="ignore"):  # what a worker reports may be no state at all
            for batch in batches:
                loss, gradients = self._step(weights, batch)
                losses.append(loss)
                weights = optimizer.update(weights, gradients)
        return losses, weights

    def _step(self, weights: Weights, batch: Shares) -> tuple[float, dict[str, Any]]:
        """Loss and gradients of a batch, summed over parts of it: less memory, and more of it in
        the caches."""
        total: dict[str, Any] = {}
        total_loss = 0.0
        size = reference.samples_at_once(self._workload, PART_BYTES)
        for start in range(0, len(batch.targets), size):
            part = slice(start, start + size)
            loss, gradients = reference.loss_and_gradients(
                self._workload, weights, batch.inputs[part], batch.targets[part], batch.shares[part]
            )
            total_loss += loss
            total = {name: total.get(name, 0.0) + gradient for name, gradient in gradients.items()}
        return total_loss, total

    def evaluate(self, weights: Weights, inputs: Samples, targets: Samples) -> reference.Worth:
        with np.errstate(all="ignore"):
            return reference.evaluate(self._workload, weights, inputs, targets)


def update_errors(
    workload: Workload, before: Weights, after: Weights, right: Weights
) -> dict[str, float]:
    """How far the engine's update of each parameter is from the right one, relative to that: norm
    of the difference over norm of the update. Infinite where it is not a number."""
    return {
        name: _relative(after[name], right[name], before[name])
        for name in judged_parameters(workload)
    }


def _relative(after: Any, right: Any, before: Any) -> float:
    start = before.astype(np.float64)
    with np.errstate(all="ignore"):
        moved, difference = right - start, after.astype(np.float64) - right
        norm, error = float(np.linalg.norm(moved)), float(np.linalg.norm(difference))
    if not math.isfinite(error):
        return math.inf
    if norm == 0.0:
        return 0.0 if error == 0.0 else math.inf
    return error / norm
