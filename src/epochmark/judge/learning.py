"""Was something learned, as much as correct training learns, and no more than there is to learn?"""

from __future__ import annotations

import math
from collections.abc import Iterator

from epochmark.analysis.timing.headline import (
    copying_is_judged,
    half_losses,
    learning_is_judged,
    steps_in,
    steps_per_epoch,
    workload_of,
)
from epochmark.records.findings import FindingCode, make_finding
from epochmark.records.record import Finding, Record
from epochmark.records.wording import counted
from epochmark.workloads._data.known_losses import lowest_test_loss
from epochmark.workloads._proof import learning_band

FLAT_SHARE = 0.95
"""A mean loss above this share of ln(classes), the loss of guessing, is flat ..."""
FLAT_AFTER_STEPS = 100
"""... once that many steps were made; at mnist-cnn's batch the loss is 1.0 after some 15."""

COPIED_SHARE = 0.5
"""A loss of the second half above this share of the first's: what came before was not copied. It is
1 of a model that does not look back, and about 0.01 of one that does (docs/workloads.md)."""


def loss_fell(record: Record) -> Iterator[Finding]:
    """The loss must be a number, and must have fallen."""
    epochs = record.learning.epochs
    not_finite = [epoch.epoch for epoch in epochs if epoch.loss is None]
    if not_finite:
        yield make_finding(
            FindingCode.LOSS_DIVERGED, f"the loss of epoch {not_finite[0]} is not a number"
        )
        return
    if not epochs or epochs[-1].loss is None:
        return
    guessing = math.log(workload_of(record.workload).classes)
    steps = len(epochs) * steps_per_epoch(record.workload)
    if steps >= FLAT_AFTER_STEPS and epochs[-1].loss > FLAT_SHARE * guessing:
        yield make_finding(
            FindingCode.LOSS_FLAT,
            f"the loss of epoch {epochs[-1].epoch} is {epochs[-1].loss:.4f}, "
            f"that of guessing {guessing:.4f}",
        )


def within_band(record: Record) -> Iterator[Finding]:
    """Loss curve and test accuracy must lie where those of correct float32 training lie."""
    if not learning_is_judged(record):
        return
    losses = [epoch.loss for epoch in record.learning.epochs if epoch.loss is not None]
    workload = workload_of(record.workload)
    for problem in learning_band.judge(workload, losses, record.learning.test_accuracy):
        yield make_finding(FindingCode.LEARNING_OUT_OF_BAND, problem)


def not_below_entropy(record: Record) -> Iterator[Finding]:
    """No model that sees only what came before does better than the language allows."""
    run, workload = record.workload, workload_of(record.workload)
    samples = workload.samples_tested(run.batch_size, run.max_steps)
    lowest, loss = lowest_test_loss(workload, samples), record.learning.test_loss
    if lowest is None or loss is None or loss >= lowest.limit:
        return
    yield make_finding(
        FindingCode.LOSS_BELOW_ENTROPY,
        f"the test loss is {loss:.4f}; a model that knows the language has {lowest.loss:.4f} on "
        f"these {samples:,} sequences (standard error {lowest.error:.4f})",
    )


def copying_learned(record: Record) -> Iterator[Finding]:
    """After as many steps as the workload has, the second half must cost much less than the first,
    which it repeats."""
    found = half_losses(record)
    if found is None or not copying_is_judged(record):
        return
    first, second = found
    if second > COPIED_SHARE * first:
        steps = counted(steps_in(record.timing.laps), "step")
        yield make_finding(
            FindingCode.COPY_NOT_LEARNED,
            f"after {steps} the trained weights have a loss of {second:.4f} in the second half of "
            f"a sequence, {first:.4f} in the first",
        )
