"""The loop around the steps of a hand-written engine: shuffled batches, laps, the last step."""

from __future__ import annotations

from typing import Any, Callable, Iterator, List, Tuple

import numpy as np

from epochmark.engines._shared.contract import Indices, Settings, Stopwatch


def timed_batches(
    settings: Settings,
    samples: int,
    stopwatch: Stopwatch,
    synchronise: Callable[[], None],
    take_sums: Callable[[], Tuple[float, float]],
) -> Iterator[Indices]:
    """Indices ``(batch,)`` into the training set for every step of a run, reshuffled every epoch.

    The caller makes one training step per batch it gets; laps end here, between two steps. The
    first ends after the first step, so that compilation stands alone. ``synchronise`` returns when
    the device has done all it was given. ``take_sums`` does the same, and returns and resets the
    epoch's sum of losses over samples and number of right answers: once an epoch, and where
    ``max_steps`` or a lap ends one early, so that nothing of the fit is left in them.
    """
    random = np.random.default_rng(settings.seed)
    steps_left, first_step = settings.max_steps, True
    for _ in range(settings.epochs):
        batches = _split(random.permutation(samples), settings.batch_size)
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
        seen = sum(map(len, wanted))
        # max_steps ended inside this epoch: a lap with the loss so far, but no epoch
        if len(wanted) < len(batches):
            stopwatch.lap(since_lap, loss_sum / seen, correct / seen)
            return
        if steps_left is not None:
            steps_left -= len(wanted)
        if not stopwatch.epoch(since_lap, loss_sum / seen, correct / seen) or steps_left == 0:
            return


class Calls:
    """Hands the steps of a fit to the device, ``together`` so many in one call; what is left where
    a lap ends or the size of the batches changes, one by one.

    ``training`` has ``step`` and, for arrays of several batches, ``steps``; ``synchronise`` and
    ``take_sums`` are as `timed_batches` wants them.
    """

    def __init__(self, training: Any, images: Any, labels: Any, together: int) -> None:
        self._training, self._images, self._labels = training, images, labels
        self._together = together
        self._waiting: List[Indices] = []

    def add(self, batch: Indices) -> None:
        """Indices ``(n,)`` of the images of the next step."""
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
            self._training.steps(self._images[batches], self._labels[batches])
        else:
            for batch in waiting:
                self._training.step(self._images[batch], self._labels[batch])


def gathered_by_numpy(put: Callable[[Any], Any]) -> Callable[[Any, Indices], Tuple[Any, Any]]:
    """``Operations.fetch`` where ``load`` returns NumPy's images and labels, and ``put`` brings an
    array to the device as the step does with its inputs."""

    def fetch(data: Any, batch: Indices) -> Tuple[Any, Any]:
        images, labels = data
        return put(images[batch]), put(labels[batch])

    return fetch


def _split(order: Indices, size: int) -> List[Indices]:
    return [order[start : start + size] for start in range(0, len(order), size)]
