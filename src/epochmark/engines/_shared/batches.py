"""Around the steps of a hand-written engine: batches, laps, the last step, and the evaluation."""

from __future__ import annotations

import math
from typing import Any, Callable, Iterator, List, Tuple

import numpy as np

from epochmark.engines._shared.contract import Indices, Settings, Stopwatch
from epochmark.workloads import Workload


def timed_batches(
    settings: Settings,
    samples: int,
    stopwatch: Stopwatch,
    synchronise: Callable[[], None],
    take_sums: Callable[[], Tuple[float, float]],
) -> Iterator[Indices]:
    """Indices ``(batch,)`` into the training set for every step of a run, in the order that the
    workload wants.

    The caller makes one training step per batch it gets; laps end here, between two steps. The
    first ends after the first step, so that compilation stands alone. ``synchronise`` returns when
    the device has done all it was given. ``take_sums`` does the same, and returns and resets the
    epoch's sum of losses over targets and number of right answers: once an epoch, and where
    ``max_steps`` or a lap ends one early, so that nothing of the fit is left in them.
    """
    targets_per_sample = settings.workload.targets_per_sample
    steps_left, first_step = settings.max_steps, True
    for order in orders(settings, samples):
        batches = _split(order, settings.batch_size)
        wanted = batches[:steps_left]
        since_lap = 0
        for step, batch in enumerate(wanted, 1):
            yield batch
            since_lap += 1
            # not at the last step: the end of the epoch, or of the run, is a lap itself
            if step < len(wanted) and (first_step or stopwatch.wants_lap()):
                synchronise()
                if not stopwatch.lap(since_lap):
                    take_sums()
                    return
                since_lap = 0
            first_step = False
        loss_sum, correct = take_sums()
        seen = sum(map(len, wanted)) * targets_per_sample
        # max_steps ended inside this epoch: a lap with the loss so far, but no epoch
        if len(wanted) < len(batches):
            stopwatch.lap(since_lap, loss_sum / seen, correct / seen)
            return
        if steps_left is not None:
            steps_left -= len(wanted)
        if not stopwatch.epoch(since_lap, loss_sum / seen, correct / seen) or steps_left == 0:
            return


def orders(settings: Settings, samples: int) -> Iterator[Indices]:
    """The samples of each epoch of a run, in order: all of them, shuffled again every time; or each
    epoch's own part, where the workload passes its training set ``once`` (from the front again
    where there are no more)."""
    workload = settings.workload
    random = np.random.default_rng(settings.seed)
    for epoch in range(settings.epochs):
        if workload.passes == "reshuffled":
            yield random.permutation(samples)
            continue
        yield own_part(workload, samples, epoch)


def own_part(workload: Workload, samples: int, epoch: int) -> Indices:
    """The samples of an epoch of a workload that passes its training set ``once``."""
    size = min(workload.train_samples, samples)
    first = epoch % (samples // size) * size
    return np.arange(first, first + size)


def evaluated(training: Any, data: Tuple[Any, Any], size: int) -> Tuple[float, float]:
    """Mean loss and accuracy of a trained model over the targets of a test set, which ``load``
    returned, ``size`` samples at a time.

    ``training.evaluate`` adds a batch to the sums that ``training.take_sums`` returns.
    """
    inputs, targets = data
    for start in range(0, len(targets), size):
        part = slice(start, start + size)
        training.evaluate(inputs[part], targets[part])
    loss_sum, correct = training.take_sums()
    count = math.prod(targets.shape)
    return loss_sum / count, correct / count


class Calls:
    """Hands the steps of a fit to the device, ``together`` of them in one call; what is left where
    a lap ends or the size of the batches changes, one by one.

    ``training`` has ``step`` and, for arrays of several batches, ``steps``; ``synchronise`` and
    ``take_sums`` are as `timed_batches` wants them.
    """

    def __init__(self, training: Any, inputs: Any, targets: Any, together: int) -> None:
        self._training, self._inputs, self._targets = training, inputs, targets
        self._together = together
        self._waiting: List[Indices] = []

    def add(self, batch: Indices) -> None:
        """Indices ``(n,)`` of the samples of the next step."""
        if self._waiting and len(batch) != len(self._waiting[0]):
            self._flush()
        self._waiting.append(batch)
        if len(self._waiting) == self._together:
            self._flush()

    def synchronise(self) -> None:
        self._flush()
        self._training.synchronise()

    def take_sums(self) -> Tuple[float, float]:
        self._flush()
        sums: Tuple[float, float] = self._training.take_sums()
        return sums

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if 1 < len(waiting) == self._together:
            batches = np.stack(waiting)
            self._training.steps(self._inputs[batches], self._targets[batches])
        else:
            for batch in waiting:
                self._training.step(self._inputs[batch], self._targets[batch])


def gathered_by_numpy(put: Callable[[Any], Any]) -> Callable[[Any, Indices], Tuple[Any, Any]]:
    """``Operations.fetch`` where ``load`` returns NumPy's inputs and targets, and ``put`` brings an
    array to the device as the step does with its inputs."""

    def fetch(data: Any, batch: Indices) -> Tuple[Any, Any]:
        inputs, targets = data
        return put(inputs[batch]), put(targets[batch])

    return fetch


def _split(order: Indices, size: int) -> List[Indices]:
    return [order[start : start + size] for start in range(0, len(order), size)]
