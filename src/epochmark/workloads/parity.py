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
from epochmark.workloads.mnist_cnn import WORKLOAD as MNIST_CNN
from epochmark.workloads.spec import Workload

REPLAY_STEPS = 10
REPLAY_BIAS_RANGE = 0.1
"""Zero biases would leave 42 % of the second convolution's outputs exactly on ReLU's kink, where
rounding decides which way a gradient goes (docs/parity.md)."""

Pixels = npt.NDArray[np.uint8]
Batch = tuple[Pixels, Pixels]


@dataclass(frozen=True)
class ReplayVersion:
    """What a version of the replay starts from (docs/parity.md says how the seeds were chosen).

    ``weights_seed`` draws the initial weights, ``pixels_seed`` the lowest four bits of every pixel;
    with None the images are MNIST's own.
    """

    weights_seed: int
    pixels_seed: Optional[int] = None


REPLAYS: Mapping[int, ReplayVersion] = {1: ReplayVersion(1), 2: ReplayVersion(14, pixels_seed=7)}
"""Every version so far: records name theirs, and are judged by its golden losses."""
REPLAY_VERSION = max(REPLAYS)
"""The one that engines are given now."""

DRAWN_BITS = 0x0F


def draw_replay_weights(
    workload: Workload, version: int = REPLAY_VERSION
) -> dict[str, npt.NDArray[np.float32]]:
    """The replay's initial weights, unchecked: float32 by parameter name, biases in +-0.1."""
    return draw_weights(workload, REPLAYS[version].weights_seed, REPLAY_BIAS_RANGE)


def replay_weights(
    workload: Workload, version: int = REPLAY_VERSION
) -> dict[str, npt.NDArray[np.float32]]:
    """The replay's initial weights, float32 by parameter name in layer order.

    Raises ValueError when there are no golden losses for this workload, or when the weights drawn
    here are not, byte for byte, those the golden losses were computed from.
    """
    weights = draw_replay_weights(workload, version)
    if sum_of_arrays(weights.values()) != _load_golden(workload, version)["weights_sha256"]:
        raise ValueError("the replay's weights differ from those of the golden losses")
    return weights


def take_replay_batches(
    workload: Workload, images: Pixels, labels: Pixels, version: int = REPLAY_VERSION
) -> list[Batch]:
    """The first ten batches in file order, unchecked; fewer when there is less data."""
    size = workload.batch_size
    used = images[: REPLAY_STEPS * size]
    pixels_seed = REPLAYS[version].pixels_seed
    if pixels_seed is not None:
        used = draw_lowest_bits(used, pixels_seed)
    starts = range(0, min(REPLAY_STEPS * size, len(labels)), size)
    return [(used[start : start + size], labels[start : start + size]) for start in starts]


def draw_lowest_bits(images: Pixels, seed: int) -> Pixels:
    """The images with the lowest four bits of every pixel drawn: uint8 in their shape.

    MNIST's background is exactly 0, so that all inputs of a pooling window are equal there, and the
    maximum has no one gradient: what frameworks make of it differs (docs/parity.md).
    From the raw 64-bit stream of PCG64, eight pixels a number, its lowest byte first.
    """
    raw = np.asarray(np.random.PCG64(seed).random_raw(-(-images.size // 8)), dtype="<u8")
    drawn = raw.view(np.uint8)[: images.size].reshape(images.shape)
    return (images & np.uint8(0xFF - DRAWN_BITS)) | (drawn & np.uint8(DRAWN_BITS))


def replay_batches(
    images: Pixels,
    labels: Pixels,
    workload: Workload = MNIST_CNN,
    version: int = REPLAY_VERSION,
) -> list[Batch]:
    """The ten fixed batches: the first 10 x 128 training images in file order, as this version of
    the replay has them.

    ``images`` uint8 (n, 28, 28) and ``labels`` uint8 (n,) are MNIST's training set. Raises
    ValueError when the bytes of the batches are not those of the golden losses.
    """
    batches = take_replay_batches(workload, images, labels, version)
    found = sum_of_arrays(array for batch in batches for array in batch)
    if found != _load_golden(workload, version)["batches_sha256"]:
        raise ValueError("the first training images are not those of the golden losses")
    return batches


def golden_losses(
    workload: Workload, form: str, version: int = REPLAY_VERSION
) -> tuple[float, ...]:
    """Mean loss (nats) of each of the ten batches before its update, computed in float64.

    ``form`` is the engine's form of Adam. Raises ValueError for a form, a version of the replay or
    a workload without golden losses.
    """
    losses = _load_golden(workload, version)["losses"]
    if form not in losses:
        raise ValueError(f"no golden losses for Adam's form {form!r}, only {', '.join(losses)}")
    return tuple(losses[form])


def golden_path(workload: Workload) -> Path:
    """Where the golden losses of a workload are stored, whether they exist or not."""
    return Path(__file__).parent / workload.name.replace('-', '_') / "golden_losses.json"


def sum_of_arrays(arrays: Iterable[npt.NDArray[Any]]) -> str:
    """SHA-256 (hexadecimal) of the arrays' bytes one after the other, little-endian, C order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _load_golden(workload: Workload, version: int) -> dict[str, Any]:
    path = golden_path(workload)
    stored: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    if stored.get("workload_version") != workload.version:
        raise ValueError(f"no golden losses for {workload.name} version {workload.version}")
    if str(version) not in stored["replays"]:
        raise ValueError(f"no golden losses for version {version} of the replay")
    golden: dict[str, Any] = stored["replays"][str(version)]
    return golden


_FIRST_TEN_BITS = (3e-5, 2e-4, 1e-3, *(8e-3,) * 2, *(3e-2,) * 5)
_TEN_BITS = (1e-5, 6e-5, 2e-4, *(8e-4,) * 2, *(8e-3,) * 5)
_BFLOAT16 = (2e-4, 2e-3, 8e-3, *(2e-2,) * 2, *(8e-2,) * 5)

TOLERANCES: Mapping[int, Mapping[str, tuple[float, ...]]] = {
    1: {
        "float32": (1e-6, *(1e-5,) * 2, *(3e-5,) * 2, *(5e-4,) * 5),
        "tf32": _FIRST_TEN_BITS,
        "float16": _FIRST_TEN_BITS,
        "bfloat16": _BFLOAT16,
    },
    2: {
        "float32": (5e-7, *(5e-6,) * 2, *(2e-5,) * 2, *(1e-4,) * 5),
        "tf32": _TEN_BITS,
        "float16": _TEN_BITS,
        "bfloat16": _BFLOAT16,
    },
}
"""By version of the replay and precision class, tightest first: the largest relative error of the
loss at each of the ten steps. docs/parity.md has the measurements and the reasoning.

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


def judge(
    losses: Sequence[Optional[float]], golden: Sequence[float], version: int = REPLAY_VERSION
) -> Verdict:
    """Compare an engine's ten replayed losses (nats) with the golden ones of its form of Adam.

    ``version`` is that of the replay, whose tolerances hold. None stands for a loss that was not
    finite. Never raises for what an engine may report.
    """
    errors = tuple(_relative_error(loss, true) for loss, true in zip_longest(losses, golden))
    return Verdict(errors, max(errors, default=math.inf), _precisions_met(errors, version))


def _relative_error(loss: Optional[float], golden: Optional[float]) -> float:
    if loss is None or golden is None or not math.isfinite(loss):
        return math.inf
    return abs(loss - golden) / abs(golden)


def _precisions_met(errors: Sequence[float], version: int) -> tuple[str, ...]:
    if len(errors) != REPLAY_STEPS:
        return ()
    met = tuple(
        precision
        for precision, limits in TOLERANCES[version].items()
        if all(error <= limit for error, limit in zip(errors, limits))
    )
    if errors[0] < REDUCED_PRECISION_FLOOR:
        return tuple(precision for precision in met if precision == "float32")
    return met
