"""The verdict on an engine's replay: how far its losses are from the golden ones, and which
precisions allow that."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Optional

from epochmark.workloads._proof.replay_data import (
    REPLAY_STEPS,
    REPLAY_VERSION,
    golden_losses,
    golden_sgd_losses,
)
from epochmark.workloads.registry import TOLERANCES, read_evidence
from epochmark.workloads.spec import Workload

Tolerances = Mapping[str, Sequence[float]]
"""By precision class, tightest first: the largest relative error of the loss at each step.

They are narrow at the start, where only rounding differs, and widen with what Adam and ReLU make of
it. TF32 and float16 both keep ten bits of the mantissa and cannot be distinguished. docs/parity.md
has the measurements and the reasoning.
"""


def replay_tolerances(workload: Workload, version: int = REPLAY_VERSION) -> Tolerances:
    """Those of the workload's folder for a version of the replay; empty where none was measured."""
    return _tolerances(workload, "replay", version)


def sgd_tolerances(workload: Workload, version: int = REPLAY_VERSION) -> Tolerances:
    """The same for the steps with plain SGD."""
    return _tolerances(workload, "sgd", version)


def _tolerances(workload: Workload, part: str, version: int) -> Tolerances:
    measured: dict[str, Tolerances] = read_evidence(workload, TOLERANCES).get(part, {})
    return measured.get(str(version), {})


REDUCED_PRECISION_FLOOR = 2e-7
"""A first loss closer than this was computed in float32: then the run is judged as float32 only.

Otherwise float32 arithmetic with a wrong optimizer, whose first loss is right, would pass for a
correct optimizer in a coarser precision.
"""

CLASSES = ("float32", "tf32", "float16", "bfloat16")
"""All that could have been measured."""


@dataclass(frozen=True)
class Verdict:
    """How far replayed losses are from the golden ones.

    ``errors`` holds the relative error of each step, infinite where a loss is missing, superfluous
    or not finite. ``met`` names every class whose tolerance all steps meet, tightest first.
    ``unjudged``: it met none, and may be right in one whose tolerance was not measured.
    ``wrong_scale``: it would have met one, were it not for the steps with plain SGD.
    """

    errors: tuple[float, ...]
    max_error: float
    met: tuple[str, ...]
    unjudged: bool = False
    wrong_scale: bool = False

    @property
    def precision(self) -> Optional[str]:
        """The tightest class met, or None."""
        return self.met[0] if self.met else None

    def in_words(self) -> str:
        """How far off it is, where it met no class."""
        errors, which, why = self.errors, "", ""
        if self.wrong_scale:
            errors, which = errors[REPLAY_STEPS:], " with plain SGD"
            why = "; those with Adam, which divides the scale of gradients out, are right"
        largest = max(errors, default=math.inf)
        if not math.isfinite(largest):
            return f"a replayed loss{which} is missing or not a number"
        return (
            f"the largest relative error of a replayed loss{which} is {largest:.1e}, more than any "
            f"precision allows{why}"
        )


def judge_replay(
    workload: Workload,
    form: str,
    version: int,
    losses: Sequence[Optional[float]],
    sgd_losses: Optional[Sequence[Optional[float]]],
    requested: str = "stock",
) -> Verdict:
    """What a record's replay shows, by the golden losses and tolerances of that version: with Adam
    in this ``form``, and with plain SGD, if that version has it; errors one after the other.
    ``requested`` is the precision asked for.
    """
    limits = _for(requested, workload, replay_tolerances(workload, version))
    adam = judge(losses, golden_losses(workload, form, version), limits)
    sgd_golden = golden_sgd_losses(workload, version)
    if not sgd_golden and not sgd_losses:
        return adam
    sgd_limits = sgd_tolerances(workload, version)
    both = {name: (*limits[name], *sgd_limits[name]) for name in limits if name in sgd_limits}
    verdict = _verdict(adam.errors + _relative_errors(sgd_losses or (), sgd_golden), both)
    unmeasured = adam.unjudged or not set(adam.met) <= set(sgd_limits)
    unjudged = verdict.unjudged and unmeasured
    wrong_scale = bool(adam.met) and not (verdict.met or unjudged)
    return replace(verdict, unjudged=unjudged, wrong_scale=wrong_scale)


def only_if_requested(workload: Workload) -> tuple[str, ...]:
    """Classes that count only where they are asked for: their tolerances are so wide that float32
    with a fault would pass for them."""
    return tuple(read_evidence(workload, TOLERANCES).get("only_if_requested", ()))


def _for(requested: str, workload: Workload, tolerances: Tolerances) -> Tolerances:
    """Those of the classes that count."""
    asked = only_if_requested(workload)
    return {
        precision: limits
        for precision, limits in tolerances.items()
        if precision == requested or precision not in asked
    }


def judge(
    losses: Sequence[Optional[float]], golden: Sequence[float], tolerances: Tolerances
) -> Verdict:
    """Compare an engine's replayed losses (nats) with the golden ones of the same optimizer.

    None stands for a loss that was not finite. Never raises for what an engine may report.
    """
    return _verdict(_relative_errors(losses, golden), tolerances)


def _verdict(errors: tuple[float, ...], tolerances: Tolerances) -> Verdict:
    largest = max(errors, default=math.inf)
    known = math.isfinite(largest)
    met = _precisions_met(errors, tolerances) if known else ()
    return Verdict(errors, largest, met, known and not met and _may_be_another(errors, tolerances))


def _relative_errors(
    losses: Sequence[Optional[float]], golden: Sequence[float]
) -> tuple[float, ...]:
    return tuple(_relative_error(loss, true) for loss, true in zip_longest(losses, golden))


def _relative_error(loss: Optional[float], golden: Optional[float]) -> float:
    if loss is None or golden is None or not math.isfinite(loss):
        return math.inf
    return abs(loss - golden) / abs(golden)


def _precisions_met(errors: Sequence[float], tolerances: Tolerances) -> tuple[str, ...]:
    met = tuple(
        precision
        for precision, limits in tolerances.items()
        if all(error <= limit for error, limit in zip(errors, limits))
    )
    if errors[0] < REDUCED_PRECISION_FLOOR:
        return tuple(precision for precision in met if precision == "float32")
    return met


def _may_be_another(errors: Sequence[float], tolerances: Tolerances) -> bool:
    """Whether a class is left whose tolerance is not known: of losses as close as float32's, that
    is float32 alone."""
    if errors[0] < REDUCED_PRECISION_FLOOR:
        return "float32" not in tolerances
    return not set(CLASSES) <= set(tolerances)
