"""What a race consists of: turns of its entries, one after the other."""

from __future__ import annotations

from typing import NamedTuple


class Turn(NamedTuple):
    """A stretch in which one entry trained and all others were parked.

    ``entry`` counts from 0, the reference. Seconds are those of the worker's own clock, parked time
    out; ``start_s`` is where on it the turn began. ``samples`` were trained in ``compute_s``;
    ``left_out_s`` is how long the first part after a stop took, which is in neither of the two.
    """

    entry: int
    start_s: float
    samples: int
    compute_s: float
    left_out_s: float

    @property
    def counts(self) -> bool:
        """Whether it has a time per sample at all."""
        return self.samples > 0 and self.compute_s > 0
