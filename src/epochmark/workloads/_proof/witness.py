"""The extra replay of a run that a board witnesses: weights and batches that follow from a number
that the board drew, so that no one can have known their losses before.

``reference`` computes the right losses (float64). Batches are small: a board computes them for
whoever asks, a few in a minute. Who makes up a record can compute them as well: this proves that
the sender has an implementation of the workload now, not on which hardware it runs. Python 3.9.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any, Optional, Sequence

import numpy as np
import numpy.typing as npt

from epochmark.workloads._proof import reference
from epochmark.workloads._proof.memory import judge_bytes
from epochmark.workloads._proof.replay_data import Batch, recipe_of
from epochmark.workloads.initial_weights import draw_weights
from epochmark.workloads.spec import Images, Workload

VERSION = 1
"""Of what follows from a number."""
STEPS = 3
"""More would only widen the tolerances of coarse precisions."""
MOST_SAMPLES = 8
"""Of a batch."""
SPREAD = 2.0
"""Of kernels of image workloads, by those of their own replay: from number to number, losses differ
more than an engine's precision makes of them."""

MOST_BYTES = 1 << 30
"""Of memory, for the replay of a workload that is witnessed."""

TOLERANCES = {
    "float32": (1e-5, 5e-4, 1e-3),
    "tf32": (2e-3, 2e-2, 5e-2),
    "float16": (2e-3, 2e-2, 5e-2),
    "bfloat16": (1e-2, 6e-2, 0.2),
}
"""Relative errors of each loss, by the precision that was observed in the run: a few times an
engine's rounding, far below what losses of different numbers differ by
(``benchmarks/outcomes/witness_errors.md``)."""
WIDEST = "bfloat16"


@dataclass(frozen=True)
class Occasion:
    """For whom a number was drawn: the board's origin, the sender's key and the result's id."""

    origin: str
    key: str
    result_id: str
    nonce: str

    def seeds(self) -> tuple[int, int]:
        """Those of weights and of samples."""
        parts = (f"epochmark witness {VERSION}", self.origin, self.key, self.result_id, self.nonce)
        digest = hashlib.sha256("\n".join(parts).encode()).digest()
        return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:16], "big")


def can_be_witnessed(workload: Workload) -> bool:
    """Whether a board can compute such a replay beside its other work: of a network as large as
    ``gpt-124m`` it would take a minute or two, and eight gigabytes."""
    return judge_bytes(workload, MOST_SAMPLES) <= MOST_BYTES


def witness_weights(workload: Workload, occasion: Occasion) -> dict[str, npt.NDArray[np.float32]]:
    """Initial weights, float32 by parameter name."""
    recipe = recipe_of(workload)
    spread = recipe.spread * (SPREAD if isinstance(workload.input, Images) else 1.0)
    return draw_weights(workload, occasion.seeds()[0], recipe.bias_range, spread)


def witness_batches(workload: Workload, occasion: Occasion) -> list[Batch]:
    """Batches whose pixels or symbols, and classes, are drawn: from the raw 64-bit stream of PCG64,
    its lowest byte first."""
    size = min(MOST_SAMPLES, workload.proof.replay_samples)
    bits = np.random.PCG64(occasion.seeds()[1])
    return [_batch(workload, bits, size) for _ in range(STEPS)]


def _batch(workload: Workload, bits: np.random.PCG64, size: int) -> Batch:
    if isinstance(workload.input, Images):
        images = _bytes(bits, (size, *workload.input_shape[:2]))
        return images, _bytes(bits, (size,)) % np.uint8(workload.classes)
    drawn = _bytes(bits, (size, workload.input.context + 1)).astype(np.uint16)
    symbols = (drawn % workload.input.vocabulary).astype(np.uint8)
    return symbols[:, :-1], symbols[:, 1:]


def _bytes(bits: np.random.PCG64, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    count = math.prod(shape)
    raw = np.asarray(bits.random_raw(-(-count // 8)), dtype="<u8")
    return raw.view(np.uint8)[:count].reshape(shape)


def right_losses(workload: Workload, form: str, occasion: Occasion) -> list[float]:
    """Mean loss (nats) of each batch before its update, with Adam in this ``form``."""
    weights, batches = witness_weights(workload, occasion), witness_batches(workload, occasion)
    return reference.train(workload, weights, batches, form)[0]


def problem_of(
    losses: Sequence[Optional[float]], right: Sequence[float], precision: Optional[str]
) -> Optional[str]:
    """What is wrong with an engine's losses, in words; None where they are right. Without an
    observed precision the widest tolerance counts."""
    if len(losses) != len(right):
        return f"{len(losses)} losses were sent, not {len(right)}"
    tolerances = TOLERANCES.get(precision or WIDEST, TOLERANCES[WIDEST])
    for step, (loss, wanted) in enumerate(zip(losses, right)):
        if not _near(loss, wanted, tolerances[step]):
            return f"the loss of step {step + 1} is {_text(loss)}, float64 gives {wanted:.6g}"
    return None


def _near(loss: Any, wanted: float, tolerance: float) -> bool:
    return loss is not None and abs(loss - wanted) <= tolerance * abs(wanted)


def _text(loss: Optional[float]) -> str:
    return "not a number" if loss is None else f"{loss:.6g}"
