"""``copy-markov``: a generated language whose lowest possible loss is known exactly.

A sequence has ``context + 1`` symbols. Its first half and one more symbol are a Markov chain; the
rest repeats the first half, ``s[t] = s[t - context / 2]``. A model that knows the chain and nothing
else stays at 1.75 ln 2 = 1.213 nats a symbol; one that has learned to look back and copy reaches
half of that, 0.6065; nothing honest goes below (docs/workloads.md).

The chain: each symbol has four successors with the probabilities 1/2, 1/4, 1/8 and 1/8. They are
given by four permutations of the symbols that differ from each other at every symbol, so that the
chain is doubly stochastic and its symbols are uniform.

Everything is drawn from the raw 64-bit stream of PCG64, which NumPy guarantees for ever, with
integer arithmetic only: the same bytes on every machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Sequences = npt.NDArray[np.uint8]

MOST_SYMBOLS = 256

BITS_OF_SUCCESSOR = np.array([1, 2, 3, 3])
"""-log2 of the probability of a symbol's first, second, third and fourth successor."""

_SUCCESSOR_OF_BITS = np.array([0, 0, 0, 0, 1, 1, 2, 3])
"""Which successor three drawn bits choose."""

ENTROPY = 1.75 * math.log(2)
"""Of the next symbol of the chain, in nats."""


@dataclass(frozen=True)
class Language:
    """One such language.

    ``symbols`` in use (a power of two, 8 to 256), ``context`` (even): how many symbols a model
    sees. ``seed`` draws the permutations.
    """

    symbols: int
    context: int
    seed: int

    def __post_init__(self) -> None:
        if self.symbols not in (8, 16, 32, 64, 128, MOST_SYMBOLS):
            raise ValueError(f"symbols must be a power of two from 8 to 256, not {self.symbols}")
        if self.context < 2 or self.context % 2:
            raise ValueError(f"context must be even and positive, not {self.context}")

    @property
    def chain_targets(self) -> int:
        """How many of a sequence's ``context`` targets follow the chain; the rest are copies."""
        return self.context // 2

    @property
    def lowest_loss(self) -> float:
        """Expected loss in nats a target of a model that knows the language."""
        return ENTROPY * self.chain_targets / self.context

    def successors(self) -> npt.NDArray[np.uint8]:
        """The successors of every symbol, uint8 ``(4, symbols)``, the most probable first."""
        bits = np.random.PCG64(self.seed)
        chosen: list[npt.NDArray[np.uint8]] = []
        # Each is drawn until it differs everywhere from those before it: about one draw in 20 does
        # for the last. Four blind draws would fit once in some 400.
        while len(chosen) < 4:
            permutation = np.argsort(bits.random_raw(self.symbols), kind="stable").astype(np.uint8)
            if all((permutation != other).all() for other in chosen):
                chosen.append(permutation)
        return np.stack(chosen)

    def draw(self, count: int, seed: int) -> Sequences:
        """``count`` sequences, uint8 ``(count, context + 1)``; the first ones do not depend on
        ``count``. Sequences of different seeds are independent."""
        raw = np.asarray(
            np.random.PCG64(seed).random_raw(count * (1 + self.chain_targets)), dtype=np.uint64
        ).reshape(count, -1)
        successors = self.successors()
        sequences = np.empty((count, self.context + 1), np.uint8)
        sequences[:, 0] = raw[:, 0] >> np.uint64(64 - self.symbols.bit_length() + 1)
        choices = _SUCCESSOR_OF_BITS[raw[:, 1:] >> np.uint64(61)]
        for t in range(self.chain_targets):
            sequences[:, t + 1] = successors[choices[:, t], sequences[:, t]]
        sequences[:, self.chain_targets + 1 :] = sequences[:, 1 : self.chain_targets + 1]
        return sequences

    def surprisal(self, sequences: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """-log p of every target, in nats: float64 ``(count, context)``, 0 for every copy.

        Raises ValueError for sequences that this language does not have.
        """
        half = self.chain_targets
        if sequences.ndim != 2 or sequences.shape[1] != self.context + 1:
            raise ValueError(f"sequences of {self.context + 1} symbols, not {sequences.shape}")
        if sequences.size and not 0 <= sequences.min() <= sequences.max() < self.symbols:
            raise ValueError(f"symbols from 0 to {self.symbols - 1}")
        if not np.array_equal(sequences[:, half + 1 :], sequences[:, 1 : half + 1]):
            raise ValueError("the second half does not repeat the first")
        followed = self.successors()[:, sequences[:, :half]] == sequences[:, 1 : half + 1]
        if not followed.any(axis=0).all():
            raise ValueError("a symbol is followed by one that cannot follow it")
        nats = np.zeros((len(sequences), self.context))
        nats[:, :half] = BITS_OF_SUCCESSOR[followed.argmax(axis=0)] * math.log(2)
        return nats
