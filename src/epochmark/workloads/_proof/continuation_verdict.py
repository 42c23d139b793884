"""The verdict on a continuation: how far an engine may be from float64, and what is wrong beyond
(docs/parity.md has the measurements)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from epochmark.workloads.registry import TOLERANCES, read_evidence
from epochmark.workloads.shapes import judged_parameters
from epochmark.workloads.spec import Workload


@dataclass(frozen=True)
class Tolerance:
    """Largest relative errors in a precision: of a loss, of a parameter's update, of the test loss
    of one and the same weights; and how many of a thousand test answers may differ."""

    loss: float
    update: float
    test_loss: float
    answers: int


PRECISIONS = ("float32", "tf32", "float16", "bfloat16")
"""Tightest first."""

YOUNG_STEPS = 100
"""In its first steps Adam follows the signs of gradients, and a gradient near zero changes its sign
by rounding: after a fraction of that many steps, losses and updates may be as many times further
off ..."""
YOUNG_LIMIT = 0.5
"""... but not by more than this."""

LOSS_FLOOR = 2e-6
"""In nats: what Keras's cut of probabilities at 1e-7 and float32 make of a loss near zero."""

ALIKE = 0.03
"""The first 1,000 test images are not like all 10,000: their accuracies may differ by so much,
beside five standard deviations of chance."""


def tolerance_of(workload: Workload, precision: Optional[str], steps: int) -> Optional[Tolerance]:
    """That of a model trained for that many steps; without an observed precision the widest. None
    where none was measured for this workload."""
    measured: dict[str, Any] = read_evidence(workload, TOLERANCES).get("continuation", {})
    known = [name for name in PRECISIONS if name in measured]
    if not known:
        return None
    tolerance = Tolerance(**measured[precision if precision in known else known[-1]])
    factor = max(1.0, YOUNG_STEPS / max(1, steps))
    loss, update = (
        min(factor * limit, YOUNG_LIMIT) for limit in (tolerance.loss, tolerance.update)
    )
    return Tolerance(loss, update, tolerance.test_loss, tolerance.answers)


def judge_losses(
    losses: Sequence[Optional[float]],
    right_losses: Sequence[Optional[float]],
    count: int,
    tolerance: Tolerance,
) -> Iterator[str]:
    """What is wrong with the losses of a stretch that has ``count`` of them, in words."""
    if not len(losses) == len(right_losses) == count:
        yield f"{len(losses)} losses were reported, not {count}"
    for loss, right in zip(losses, right_losses):
        if not _agree(loss, right, tolerance.loss):
            yield f"a loss is {_number(loss)}, float64 gives {_number(right)}"
            return


def judge_updates(
    errors: Mapping[str, Optional[float]], workload: Workload, tolerance: Tolerance
) -> Iterator[str]:
    """Which parameter's update is furthest off, in words, where that is too far."""
    if set(errors) != set(judged_parameters(workload)):
        yield "not every parameter's update was compared"
        return
    name, error = max(errors.items(), key=lambda item: math.inf if item[1] is None else item[1])
    if error is None or error > tolerance.update:
        off = "is not a number" if error is None else f"is off by {error:.1e} of its size"
        yield f"the update of {name} {off}, {tolerance.update:.0e} is allowed"


def judge_weights(
    workload: Workload,
    loss: tuple[Optional[float], Optional[float]],
    accuracy: tuple[Optional[float], Optional[float]],
    whole_accuracy: Optional[float],
    tolerance: Tolerance,
) -> Iterator[str]:
    """What trained weights say against what the engine says, each first ours, then the engine's.

    ``whole_accuracy`` is the engine's on the whole test set.
    """
    (right_loss, reported_loss), (right, reported) = loss, accuracy
    samples = workload.proof.tested_samples
    tested = f"{samples:,} test {workload.samples}"
    if not _agree(reported_loss, right_loss, tolerance.test_loss):
        yield (
            f"their loss on {tested} is {_number(right_loss)}, "
            f"the engine says {_number(reported_loss)}"
        )
    if right is None or reported is None:
        yield f"no accuracy on {tested} is known"
        return
    answers = samples * workload.targets_per_sample
    # half an answer, since both are rounded shares
    if abs(right - reported) * answers > tolerance.answers * answers / 1000 + 0.5:
        yield f"they get {right:.1%} of {tested} right, the engine says {reported:.1%}"
    # never zero, which it would be where every answer is right
    chance = math.sqrt(max(right * (1 - right), 1e-3) / samples)
    if whole_accuracy is not None and abs(whole_accuracy - right) > 5 * chance + ALIKE:
        yield (
            f"they get {right:.1%} of {tested} right, the engine says "
            f"{whole_accuracy:.1%} of the test set"
        )


def _agree(loss: Optional[float], right: Optional[float], relative: float) -> bool:
    if loss is None or right is None:
        return False
    return abs(loss - right) <= relative * abs(right) + LOSS_FLOOR


def _number(value: Optional[float]) -> str:
    return "not a number" if value is None else f"{value:.6g}"
