"""What is known beforehand of losses on generated data: the lowest possible one, and that a
sample's second half repeats its first."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple, Optional

import numpy as np
import numpy.typing as npt

from epochmark.workloads._data import COPY_MARKOV, TEST_SEED, language_of
from epochmark.workloads.spec import Workload

STANDARD_ERRORS = 5
"""Luck does not take a model further below the lowest loss: once in three million runs."""

Halves = tuple[float, float]


class LowestLoss(NamedTuple):
    """``loss``: mean -log p of targets in nats, what a model comes to that knows their language.
    ``error``: the standard error of this mean, from how sequences differ."""

    loss: float
    error: float

    @property
    def limit(self) -> float:
        """No model that sees only what came before has a lower loss."""
        return self.loss - STANDARD_ERRORS * self.error


@functools.lru_cache(maxsize=64)
def lowest_test_loss(workload: Workload, samples: int) -> Optional[LowestLoss]:
    """Of the first ``samples`` (at least 2) of the test set; None where it is not known.

    From these very sequences: a finite test set has an entropy of its own.
    """
    language = language_of(workload)
    if language is None:
        return None
    nats = language.surprisal(language.draw(samples, TEST_SEED)).mean(axis=1)
    error = float(nats.std(ddof=1)) / math.sqrt(samples)
    return LowestLoss(float(nats.mean()), error)


def halves_of(workload: Workload, losses: npt.NDArray[np.float64]) -> Optional[Halves]:
    """Mean losses over the first and the second half of the context, from those of all targets (n,
    context); None where the data set's samples have no such halves.

    In ``copy-markov`` the second half repeats the first.
    """
    if workload.dataset != COPY_MARKOV:
        return None
    half = losses.shape[1] // 2
    return float(losses[:, :half].mean()), float(losses[:, half:].mean())
