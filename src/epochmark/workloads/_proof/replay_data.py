"""What a replay computes: fixed weights, fixed batches, and the golden losses to be met.

Golden losses come from ``reference`` (float64); ``benchmarks/make_golden_losses.py`` writes them
into the workload's folder, with their provenance. ``parity`` judges an engine's own by them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np
import numpy.typing as npt

from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.registry import GOLDEN_LOSSES, NEWEST_REPLAY, read_evidence
from epochmark.workloads.spec import SGD, Images, Workload

REPLAY_STEPS = 10
REPLAY_BIAS_RANGE = 0.1
"""Zero biases would leave 42 % of the outputs of mnist-cnn's second convolution exactly on ReLU's
kink, where rounding decides which way a gradient goes (docs/parity.md)."""

REPLAY_VERSION = NEWEST_REPLAY

SGD_STEPS = 3
"""Of the replay with plain SGD, from the same weights on the first of the same batches: it shows
the scale of gradients, which Adam divides out. Replays before version 3 have none."""

Samples = npt.NDArray[np.unsignedinteger[Any]]
"""As the data set has them: bytes of images (n, height, width), symbols (n, context); and what is
to be found: classes (n,), symbols (n, context)."""
Batch = tuple[Samples, Samples]


@dataclass(frozen=True)
class Recipe:
    """What a version of a workload's replay starts from (docs/parity.md says how the seeds were
    chosen); its golden file has it.

    ``weights_seed`` draws the initial weights, ``pixels_seed`` the lowest four bits of every pixel;
    with None the images are the data set's own. ``spread`` multiplies kernels and tables: at their
    small initial values a transformer hardly uses its attention, and a defect in it would not show.
    """

    weights_seed: int
    pixels_seed: Optional[int] = None
    bias_range: float = REPLAY_BIAS_RANGE
    spread: float = 1.0


DRAWN_BITS = 0x0F


def replay_versions(workload: Workload) -> list[int]:
    """Versions of the replay that this workload has golden losses of."""
    return sorted(int(version) for version in read_evidence(workload, GOLDEN_LOSSES)["replays"])


def recipe_of(workload: Workload, version: int = REPLAY_VERSION) -> Recipe:
    """What this version of the replay starts from. Raises ValueError where there is none."""
    return Recipe(**_load_golden(workload, version)["recipe"])


def draw_replay_weights(workload: Workload, recipe: Recipe) -> dict[str, npt.NDArray[np.float32]]:
    """Initial weights by this recipe, unchecked: float32 by parameter name."""
    return draw_weights(workload, recipe.weights_seed, recipe.bias_range, recipe.spread)


def replay_weights(
    workload: Workload, version: int = REPLAY_VERSION
) -> dict[str, npt.NDArray[np.float32]]:
    """The replay's initial weights, float32 by parameter name in layer order.

    Raises ValueError when there are no golden losses for this workload, or when the weights drawn
    here are not, byte for byte, those the golden losses were computed from.
    """
    weights = draw_replay_weights(workload, recipe_of(workload, version))
    if sum_of_arrays(weights.values()) != _load_golden(workload, version)["weights_sha256"]:
        raise ValueError("the replay's weights differ from those of the golden losses")
    return weights


def take_replay_batches(
    workload: Workload, inputs: Samples, targets: Samples, recipe: Recipe
) -> list[Batch]:
    """The first ten batches in file order, unchecked; fewer when there is less data."""
    size, context = workload.proof.replay_samples, workload.proof.replay_context
    used, wanted = inputs[: REPLAY_STEPS * size], targets[: REPLAY_STEPS * size]
    if recipe.pixels_seed is not None and isinstance(workload.input, Images):
        used = draw_lowest_bits(used, recipe.pixels_seed)
    if context is not None:
        used, wanted = used[:, :context], wanted[:, :context]
    starts = range(0, len(wanted), size)
    return [(used[start : start + size], wanted[start : start + size]) for start in starts]


def draw_lowest_bits(images: Samples, seed: int) -> Samples:
    """The images with the lowest four bits of every pixel drawn: uint8 in their shape.

    MNIST's background is exactly 0, so that all inputs of a pooling window are equal there, and the
    maximum has no one gradient: what frameworks make of it differs (docs/parity.md).
    From the raw 64-bit stream of PCG64, eight pixels a number, its lowest byte first.
    """
    raw = np.asarray(np.random.PCG64(seed).random_raw(-(-images.size // 8)), dtype="<u8")
    drawn = raw.view(np.uint8)[: images.size].reshape(images.shape)
    mixed: Samples = (images & np.uint8(0xFF - DRAWN_BITS)) | (drawn & np.uint8(DRAWN_BITS))
    return mixed


def replay_batches(
    workload: Workload, inputs: Samples, targets: Samples, version: int = REPLAY_VERSION
) -> list[Batch]:
    """The ten fixed batches: the first training samples in file order, as this version of the
    replay has them.

    ``inputs`` and ``targets`` are the training set. Raises ValueError when the bytes of the batches
    are not those of the golden losses.
    """
    batches = take_replay_batches(workload, inputs, targets, recipe_of(workload, version))
    found = sum_of_arrays(array for batch in batches for array in batch)
    if found != _load_golden(workload, version)["batches_sha256"]:
        raise ValueError(
            f"the first training {workload.samples} are not those of the golden losses"
        )
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


def golden_sgd_losses(workload: Workload, version: int = REPLAY_VERSION) -> tuple[float, ...]:
    """The same of the first batches, trained with ``replay_sgd``; none before version 3."""
    return tuple(_load_golden(workload, version).get("sgd", {}).get("losses", ()))


def replay_sgd(workload: Workload) -> SGD:
    """The optimizer of the steps that show the scale of gradients. Raises ValueError where there
    are no golden losses."""
    return SGD(_load_golden(workload, REPLAY_VERSION)["sgd"]["learning_rate"])


def sum_of_arrays(arrays: Iterable[npt.NDArray[Any]]) -> str:
    """SHA-256 (hexadecimal) of the arrays' bytes one after the other, little-endian, C order."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()


def _load_golden(workload: Workload, version: int) -> dict[str, Any]:
    stored = read_evidence(workload, GOLDEN_LOSSES)
    if not stored:
        raise ValueError(f"no golden losses for {workload.name} version {workload.version}")
    if str(version) not in stored["replays"]:
        raise ValueError(f"no golden losses for version {version} of the replay")
    golden: dict[str, Any] = stored["replays"][str(version)]
    return golden
