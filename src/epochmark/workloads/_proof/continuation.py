"""The continuation: the trained model goes on through ``fit`` itself, and float64 goes along.

After the timed fit the worker hands out its training state (weights, Adam's moments, steps), gives
a few more batches to the very ``fit`` that was timed, and hands the state out again. From the first
state our own float64 code makes the same steps; losses and updates must agree (docs/parity.md).
The trained weights are evaluated by that code too.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Optional, Protocol

import numpy as np
import numpy.typing as npt

from epochmark.workloads._proof import reference
from epochmark.workloads._proof.parity import REPLAY_STEPS, Batch, Samples, draw_lowest_bits
from epochmark.workloads.registry import TOLERANCES, read_evidence
from epochmark.workloads.shapes import judged_parameters, parameter_count, parameter_shapes
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

PART_BYTES = 17 << 20
"""Of activations in float64 that are held at one time, without their gradients: 32 images of
``mnist-cnn``."""

Weights = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class State:
    """Weights, Adam's two moments and the optimizer's steps so far (``engines.TrainingState``)."""

    weights: Weights
    first: Weights
    second: Weights
    steps: int


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


# The file in which states travel: float32, little-endian, nothing but the numbers.

STATES = 3
"""In the file: at the fit's end, after the single steps, after the repeated ones."""


def write_state(file: BinaryIO, workload: Workload, parts: Sequence[Weights]) -> None:
    """Append weights, first and second moments, each parameter in layer order.

    Raises ValueError where an array is not there or has not the shape that the workload gives it.
    """
    for part in parts:
        for name, shape in parameter_shapes(workload).items():
            if name not in part:
                raise ValueError(f"the engine's state has no {name}")
            array = np.asarray(part[name])
            if array.shape != shape:
                raise ValueError(f"{name} has shape {array.shape} in the state, not {shape}")
            file.write(np.ascontiguousarray(array, "<f4").tobytes())


def read_state(
    path: Path, workload: Workload, number: int
) -> list[dict[str, npt.NDArray[np.float32]]]:
    """One of the three states of a file, from 0: weights, first and second moments by parameter
    name. All three of a large workload would not fit into memory beside their float64.

    The file is the worker's and not trusted. Raises ValueError unless it is a plain file of exactly
    the size that the workload gives it; OSError where it cannot be read.
    """
    count = parameter_count(workload)
    state_size = 3 * count * 4
    size = STATES * state_size
    # a link is refused, and a pipe must not keep us waiting
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_size != size:
            raise ValueError(f"the file of its states has {found.st_size} bytes, not {size}")
        file.seek(number * state_size)
        numbers = np.frombuffer(file.read(state_size), "<f4")
    if len(numbers) != 3 * count:
        raise ValueError("the file of its states changed while it was read")
    return [_by_name(workload, part) for part in numbers.reshape(3, count)]


def _by_name(
    workload: Workload, flat: npt.NDArray[np.float32]
) -> dict[str, npt.NDArray[np.float32]]:
    shapes = parameter_shapes(workload)
    sizes = [math.prod(shape) for shape in shapes.values()]
    pieces = np.split(flat, np.cumsum(sizes)[:-1])
    return {name: piece.reshape(shapes[name]) for name, piece in zip(shapes, pieces)}


# What is computed here, and how far the engine is from it.


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


# How far an engine may be from float64: docs/parity.md has the measurements.


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
