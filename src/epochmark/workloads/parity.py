"""The replay: fixed weights, fixed batches, golden losses, and the verdict on an engine's own.

Golden losses come from ``workloads.reference`` (float64); ``benchmarks/make_golden_losses.py``
writes them into the JSON file beside this module, with their provenance.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.mnist_cnn import MNIST_CNN
from epochmark.workloads.spec import Workload

REPLAY_STEPS = 10
REPLAY_SEED = 1
"""The first seed from 1 on whose losses were not moved by noise like rounding (docs/parity.md)."""
REPLAY_BIAS_RANGE = 0.1
"""Zero biases would leave 42 % of the second convolution's outputs exactly on ReLU's kink, where
rounding decides which way a gradient goes (docs/parity.md)."""

Pixels = npt.NDArray[np.uint8]
Batch = tuple[Pixels, Pixels]


def draw_replay_weights(workload: Workload) -> dict[str, npt.NDArray[np.float32]]:
    """The replay's initial weights, unchecked: float32 by parameter name, biases in +-0.1."""
    return draw_weights(workload, REPLAY_SEED, REPLAY_BIAS_RANGE)


def replay_weights(workload: Workload) -> dict[str, npt.NDArray[np.float32]]:
    """The replay's initial weights, float32 by parameter name in layer order.

    Raises ValueError when there are no golden losses for this workload, or when the weights drawn
    here are not, byte for byte, those the golden losses were computed from.
    """
    weights = draw_replay_weights(workload)
    if sum_of_arrays(weights.values()) != _load_golden(workload)["weights_sha256"]:
        raise ValueError("the replay's weights differ from those of the golden losses")
    return weights


def take_replay_batches(workload: Workload, images: Pixels, labels: Pixels) -> list[Batch]:
    """The first ten batches in file order, unchecked; fewer when there is less data."""
    size = workload.batch_size
    starts = range(0, min(REPLAY_STEPS * size, len(labels)), size)
    return [(images[start : start + size], labels[start : start + size]) for start in starts]


def replay_batches(images: Pixels, labels: Pixels, workload: Workload = MNIST_CNN) -> list[Batch]:
    """The ten fixed batches: the first 10 x 128 of the training images in file order.

    ``images`` uint8 (n, 28, 28) and ``labels`` uint8 (n,) are MNIST's training set; the batches are
    views of them. Raises ValueError when their bytes are not those of the golden losses.
    """
    batches = take_replay_batches(workload, images, labels)
    if (
        sum_of_arrays(array for batch in batches for array in batch)
        != (_load_golden(workload)["batches_sha256"])
    ):
        raise ValueError("the first training images are not those of the golden losses")
    return batches


def golden_losses(workload: Workload, form: str) -> tuple[float, ...]:
    """Mean loss (nats) of each of the ten batches before its update, computed in float64.

    ``form`` is the engine's form of Adam. Raises ValueError for a form or a workload without
    golden losses.
    """
    losses = _load_golden(workload)["losses"]
    if form not in losses:
        raise ValueError(f"no golden losses for Adam's form {form!r}, only {', '.join(losses)}")
    return tuple(losses[form])


def golden_path(workload: Workload) -> Path:
    """Where the golden losses of a workload are stored, whether they exist or not."""
    return Path(__file__).with_name(f"{workload.name.replace('-', '_')}_golden_losses.json")


def sum_of_arrays(arrays: Iterable[npt.NDArray[Any]]) -> str:
    """SHA-256 (hexadecimal) of the arrays' bytes one after the other, little-endian, C order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _load_golden(workload: Workload) -> dict[str, Any]:
    path = golden_path(workload)
    golden: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if golden.get("workload_version") != workload.version:
        raise ValueError(f"no golden losses for {workload.name} version {workload.version}")
    return golden


@dataclass(frozen=True)
class Tolerance:
    """Largest relative error of the loss at each of the ten steps, and what the figures rest on."""

    steps: tuple[float, ...]
    evidence: str


_TEN_MANTISSA_BITS = (3e-5, 2e-4, 1e-3, *(8e-3,) * 2, *(3e-2,) * 5)

TOLERANCES: Mapping[str, Tolerance] = {
    "float32": Tolerance(
        (1e-6, *(1e-5,) * 2, *(3e-5,) * 2, *(5e-4,) * 5), "measured on CPUs, not on GPUs"
    ),
    "tf32": Tolerance(_TEN_MANTISSA_BITS, "emulated, not measured on hardware"),
    "float16": Tolerance(_TEN_MANTISSA_BITS, "measured on a CPU, not on GPUs"),
    "bfloat16": Tolerance(
        (2e-4, 2e-3, 8e-3, *(2e-2,) * 2, *(8e-2,) * 5), "measured on a CPU, not on GPUs or TPUs"
    ),
}
"""By precision class, tightest first; docs/parity.md has the measurements and the reasoning.

They are narrow at the start, where only rounding differs, and widen with what Adam and ReLU make of
it. TF32 and float16 both keep ten bits of the mantissa and cannot be told apart.
"""

REDUCED_PRECISION_FLOOR = 2e-7
"""A first loss closer than this was computed in float32: then the run is judged as float32 only.

Otherwise float32 arithmetic with a wrong optimizer, whose first loss is right, would pass for a
correct optimizer in a coarser precision.
"""


@dataclass(frozen=True)
class Verdict:
    """How far replayed losses are from the golden ones.

    ``errors`` holds the relative error of each step, infinite where a loss is missing, superfluous
    or not finite. ``met`` names every class whose tolerance all steps meet, tightest first.
    """

    errors: tuple[float, ...]
    max_error: float
    met: tuple[str, ...]

    @property
    def precision(self) -> Optional[str]:
        """The tightest class met, or None."""
        return self.met[0] if self.met else None


def judge(losses: Sequence[Optional[float]], golden: Sequence[float]) -> Verdict:
    """Compare an engine's ten replayed losses (nats) with the golden ones of its form of Adam.

    None stands for a loss that was not finite. Never raises for what an engine may report.
    """
    errors = tuple(_relative_error(loss, true) for loss, true in zip_longest(losses, golden))
    return Verdict(errors, max(errors, default=math.inf), _precisions_met(errors))


def _relative_error(loss: Optional[float], golden: Optional[float]) -> float:
    if loss is None or golden is None or not math.isfinite(loss):
        return math.inf
    return abs(loss - golden) / abs(golden)


def _precisions_met(errors: Sequence[float]) -> tuple[str, ...]:
    if len(errors) != REPLAY_STEPS:
        return ()
    met = tuple(
        precision
        for precision, tolerance in TOLERANCES.items()
        if all(error <= limit for error, limit in zip(errors, tolerance.steps))
    )
    if errors[0] < REDUCED_PRECISION_FLOOR:
        return tuple(precision for precision in met if precision == "float32")
    return met
