"""The continuation: the trained model goes on through ``fit`` itself, and float64 goes along.

After the timed fit the worker hands out its training state (weights, Adam's moments, steps), gives
a few more batches to the very ``fit`` that was timed, and hands the state out again. From the first
state our own float64 code makes the same steps; losses and updates must agree (docs/parity.md).
The trained weights are evaluated by that code too.

This file has the batches; ``training_state`` the states and their file, ``float64`` the steps that
float64 makes, ``continuation_verdict`` what is allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

import numpy as np
import numpy.typing as npt

from epochmark.workloads._proof.replay_data import REPLAY_STEPS, Batch, Samples, draw_lowest_bits
from epochmark.workloads.spec import Images, Workload

VERSION = 1
"""Of the batches and tolerances below; records name theirs."""

SINGLE_STEPS = 8
"""Calls of ``fit`` with one batch each."""
REPEATED_STEPS = 5
"""Steps of one more call of ``fit``, all of whose batches are one sample over and over: so the
order in which ``fit`` shuffles changes nothing."""
TUNED_REPEATED_STEPS = 17
"""Tuned engines may make 16 steps in one call of the device, after a first that stands alone."""

PIXELS_SEED = 11


@dataclass(frozen=True)
class Shares:
    """A batch as float64 computes it: distinct samples, their targets, and the share of each."""

    inputs: Samples
    targets: Samples
    shares: npt.NDArray[np.float64]


def repeated_steps(
    batch_size: int, tuned: bool, train_samples: int, max_steps: Optional[int]
) -> int:
    """How many steps the last call of ``fit`` makes: no more than an epoch has, or the run."""
    steps = TUNED_REPEATED_STEPS if tuned else REPEATED_STEPS
    return max(1, min(steps, train_samples // batch_size, max_steps or steps))


def single_batches(
    workload: Workload, inputs: Samples, targets: Samples, batch_size: int
) -> list[Batch]:
    """A batch for each of the eight single steps; ``inputs`` and ``targets`` are the training set.

    The samples that follow those of the replay; a batch has at most ``proof.distinct_samples`` of
    them, larger ones repeat these, so that float64 has no more to compute. An image is a blend, two
    parts of one training image and one of another, labelled as the first: trained weights are sure
    of plain images, and hardly any loss or gradient would be left to compare.
    """
    most = workload.proof.distinct_samples
    distinct = min(batch_size, most)
    used = _further(workload, inputs, SINGLE_STEPS * most)
    wanted = targets[_first(workload) :][: SINGLE_STEPS * most]
    return [
        _repeat(used[start : start + distinct], wanted[start : start + distinct], batch_size)
        for start in range(0, SINGLE_STEPS * most, most)
    ]


def repeated_batch(workload: Workload, inputs: Samples, targets: Samples, size: int) -> Batch:
    """One and the same sample ``size`` times."""
    first = _first(workload)
    return _repeat(_further(workload, inputs, 1), targets[first : first + 1], size)


def _first(workload: Workload) -> int:
    """The samples before are the replay's."""
    return REPLAY_STEPS * workload.proof.replay_samples


def _further(workload: Workload, inputs: Samples, count: int) -> Samples:
    """The first ``count`` samples after the replay's; of images blends, with their lowest bits
    drawn as in the replay."""
    first = _first(workload)
    if not isinstance(workload.input, Images):
        return inputs[first : first + count]
    most = SINGLE_STEPS * workload.proof.distinct_samples
    images, others = (
        inputs[start : start + most].astype(np.uint16) for start in (first, first + most)
    )
    blended = ((2 * images + others) // 3).astype(np.uint8)
    return draw_lowest_bits(blended, PIXELS_SEED)[:count]


def _repeat(inputs: Samples, targets: Samples, size: int) -> Batch:
    index = np.arange(size) % len(targets)
    return inputs[index], targets[index]


def shares_of(workload: Workload, batch: Batch) -> Shares:
    """What float64 computes of a batch made here: its first samples, and how often each occurs."""
    inputs, targets = batch
    alike = len(inputs) > 1 and bool((inputs == inputs[0]).all())
    count = min(len(targets), 1 if alike else workload.proof.distinct_samples)
    counts = np.bincount(np.arange(len(targets)) % count, minlength=count)
    return Shares(inputs[:count], targets[:count], counts / len(targets))
