"""Where the loss curve and the accuracy of correct training lie: a measured tolerance interval.

``benchmarks/make_learning_band.py`` measures a band from full seeded runs and stores it, with its
provenance, in the workload's folder.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from epochmark.workloads.registry import LEARNING_BAND, read_evidence
from epochmark.workloads.spec import Workload

CONTENT = 0.99
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Band:
    """Values from ``low`` to ``high``, with the ``centre`` of the runs they were measured from."""

    low: float
    centre: float
    high: float

    def holds(self, value: float) -> bool:
        """Whether a value lies inside."""
        return self.low <= value <= self.high


@dataclass(frozen=True)
class LearningBand:
    """Intervals of the mean training loss (nats) of epochs 1, 2, ... and of the final accuracy."""

    epoch_losses: tuple[Band, ...]
    test_accuracy: Band


def tolerance_factor(count: int, content: float = CONTENT, confidence: float = CONFIDENCE) -> float:
    """Factor k of the two-sided normal tolerance interval ``mean +- k * standard deviation``.

    Howe, "Two-sided tolerance limits for normal populations", JASA 64 (1969), as in the
    NIST/SEMATECH handbook, 7.2.6.3; the chi-squared quantile by Wilson and Hilferty (1931). Within
    0.4 % of the exact factor from ten runs on, within 0.1 % from 20. Raises ValueError below ten.
    """
    if count < 10:
        raise ValueError(f"a tolerance interval needs at least 10 runs, not {count}")
    normal = statistics.NormalDist()
    freedom = count - 1
    spread = 2 / (9 * freedom)
    chi_squared = freedom * (1 - spread + normal.inv_cdf(1 - confidence) * math.sqrt(spread)) ** 3
    z = normal.inv_cdf((1 + content) / 2)
    return z * math.sqrt(freedom * (1 + 1 / count) / chi_squared)


def positive_interval(values: Sequence[float]) -> Band:
    """Tolerance interval of positive values, taken on their logarithm.

    Losses and error rates scatter by a share of their size and cannot be negative.
    """
    logs = [math.log(value) for value in values]
    mean = statistics.fmean(logs)
    reach = tolerance_factor(len(logs)) * statistics.stdev(logs)
    return Band(math.exp(mean - reach), math.exp(mean), math.exp(mean + reach))


def accuracy_interval(values: Sequence[float]) -> Band:
    """Tolerance interval of accuracies, taken on the logarithm of the error rate."""
    error = positive_interval([1 - value for value in values])
    return Band(1 - error.high, 1 - error.centre, 1 - error.low)


def load_band(workload: Workload) -> Optional[LearningBand]:
    """The band of this version of a workload, or None where none has been measured."""
    stored = read_evidence(workload, LEARNING_BAND)
    if not stored:
        return None
    return LearningBand(
        epoch_losses=tuple(Band(**interval) for interval in stored["epoch_losses"]),
        test_accuracy=Band(**stored["test_accuracy"]),
    )


def judge(
    workload: Workload, epoch_losses: Sequence[float], test_accuracy: Optional[float]
) -> list[str]:
    """What lies outside the band, in words; nothing when all is inside, or where none was measured.

    Losses are judged as far as they go; the accuracy only after as many epochs as the band has,
    since it is that of the fully trained model.
    """
    band = load_band(workload)
    if band is None:
        return []
    problems = [
        f"the loss of epoch {epoch} is {loss:.4g}, correct training gives "
        f"{interval.low:.4g} to {interval.high:.4g}"
        for epoch, (loss, interval) in enumerate(zip(epoch_losses, band.epoch_losses), start=1)
        if not interval.holds(loss)
    ]
    complete = len(epoch_losses) == len(band.epoch_losses)
    if complete and test_accuracy is not None and not band.test_accuracy.holds(test_accuracy):
        interval = band.test_accuracy
        problems.append(
            f"the test accuracy is {test_accuracy:.2%}, correct training gives "
            f"{interval.low:.2%} to {interval.high:.2%}"
        )
    return problems
