"""What cannot be true of the losses and accuracies of one and the same run."""

from __future__ import annotations

import math
from collections.abc import Iterator

from epochmark.analysis.timing.headline import half_losses, workload_of
from epochmark.records.record import Record
from epochmark.workloads._data import COPY_MARKOV

SAME_LOSS = 2e-5
"""Running losses are kept to six digits."""
SUMMED_LOSS = 1e-3
"""Engines add up losses in float32."""
WORST_LOSS = 1000.0
"""Of one image, in nats: logits this far apart are no training any more."""


def impossible_losses(record: Record) -> Iterator[str]:
    """Cross entropy is never negative, and accuracy is a share."""
    learning, classes = record.learning, workload_of(record.workload).classes
    losses = [*(lap.loss for lap in record.timing.laps), *(entry.loss for entry in learning.epochs)]
    replay = record.replay
    replayed = [*replay.losses, *(replay.sgd_losses or [])] if replay else []
    if any(loss is not None and loss < 0 for loss in (*losses, *replayed, learning.test_loss)):
        yield "it has a negative loss, impossible for a cross entropy"
        return
    if any(
        entry.accuracy is not None and not 0 <= entry.accuracy <= 1 for entry in learning.epochs
    ):
        samples = workload_of(record.workload).samples
        yield f"it has a training accuracy that is not a share of the {samples}"
    yield from _running_losses(record)
    yield from _halves(record)
    loss, accuracy = learning.test_loss, learning.test_accuracy
    if loss is None or accuracy is None:
        return
    # of a wrong answer the right one has half of the probability at most
    least = (1 - accuracy) * math.log(2)
    # of a right answer it has the largest, 1/classes at least
    most = math.log(classes) + (1 - accuracy) * WORST_LOSS
    if not least * (1 - SUMMED_LOSS) <= loss <= most:
        yield f"with a test accuracy of {accuracy:.4f} its test loss cannot be {loss:.6g}"


def _halves(record: Record) -> Iterator[str]:
    """Losses of the two halves of sequences: of a data set that has them, and their mean is the
    loss of the whole."""
    found = record.continuation
    if found is None or found.right_half_losses is None:
        return
    workload = workload_of(record.workload)
    if workload.dataset != COPY_MARKOV:
        yield f"it has losses of two halves, which {workload.dataset} does not have"
        return
    halves, whole = half_losses(record), found.right_test_loss
    if halves is None:
        return
    if min(halves) < 0:
        yield "it has a negative loss, impossible for a cross entropy"
    elif whole is None or not math.isclose(sum(halves) / 2, whole, rel_tol=SAME_LOSS):
        yield (
            f"the losses of the two halves are {halves[0]:.6g} and {halves[1]:.6g}, that of the "
            f"whole is {'unknown' if whole is None else format(whole, '.6g')}"
        )


def _running_losses(record: Record) -> Iterator[str]:
    """Means of an epoch so far: their sum never falls, and the last is the epoch's."""
    run, images = record.workload, workload_of(record.workload).train_samples
    epoch, seen, total = 0, 0, 0.0
    last: dict[int, float] = {}
    for lap in record.timing.laps:
        if lap.epoch != epoch:
            epoch, seen, total = lap.epoch, 0, 0.0
        # the last batch of an epoch is smaller
        seen = min(images, seen + lap.steps * run.batch_size)
        if lap.loss is None:
            continue
        # a sum of losses, none of them negative
        if lap.loss * seen < total * (1 - SUMMED_LOSS):
            yield f"in epoch {epoch} the sum of losses falls"
            return
        total, last[epoch] = lap.loss * seen, lap.loss
    for entry in record.learning.epochs:
        running = last.get(entry.epoch)
        if running is None or entry.loss is None:
            continue
        if not math.isclose(running, entry.loss, rel_tol=SAME_LOSS):
            yield (
                f"the loss of epoch {entry.epoch} is given as {entry.loss:.6g}, "
                f"its last lap has {running:.6g}"
            )
            return
