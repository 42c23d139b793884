"""The turns of an entry as its laps have them, the first part of each by itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple, Protocol

from epochmark.analysis.racing.turns import Turn
from epochmark.analysis.timing.intervals import MIN_INTERVAL_VALUES
from epochmark.analysis.timing.steady_epoch import NANOSECONDS

SHOWS_FROM = 1.01
"""Where a sample takes this many times as long in the first part of the turns, that part is left
out of all of them. It is a tenth of a turn: less changes a ratio by a thousandth at most."""


class LapTime(Protocol):
    """A lap as the worker reports it, or a record keeps it."""

    @property
    def epoch(self) -> int: ...
    @property
    def steps(self) -> int: ...
    @property
    def end_ns(self) -> int: ...


class Piece(NamedTuple):
    """A turn: samples and seconds of its first part and of the rest, on the worker's own clock, on
    which it began at ``start_s``. A turn of one lap has no first part."""

    start_s: float
    first_samples: int
    first_s: float
    rest_samples: int
    rest_s: float

    def as_turn(self, entry: int, left_out: bool) -> Turn:
        """The turn as the statistics take it, with or without its first part."""
        if left_out:
            return Turn(entry, self.start_s, self.rest_samples, self.rest_s, self.first_s)
        samples, seconds = self.first_samples + self.rest_samples, self.first_s + self.rest_s
        return Turn(entry, self.start_s, samples, seconds, 0.0)


class Pieces:
    """The turns of one entry, built lap by lap; the smaller last batch of an epoch counts as what
    it is. ``batch`` samples are in a step, ``epoch`` in an epoch."""

    def __init__(self, batch: int, epoch: int) -> None:
        self._batch, self._samples_per_epoch = batch, epoch
        self._epoch = self._steps = self._end_ns = 0
        self.turns: list[Piece] = []

    def warm_up(self, laps: Iterable[LapTime]) -> None:
        """Laps before the first turn."""
        for lap in laps:
            self._take(lap)

    def turn(self, laps: Iterable[LapTime]) -> None:
        """The laps of the next turn."""
        began_ns = self._end_ns
        taken = [self._take(lap) for lap in laps]
        first, rest = (taken[:1], taken[1:]) if len(taken) > 1 else ([], taken)
        self.turns.append(Piece(began_ns / NANOSECONDS, *_sum(first), *_sum(rest)))

    def _take(self, lap: LapTime) -> tuple[int, float]:
        """Samples and seconds of a lap."""
        if lap.epoch != self._epoch:
            self._epoch, self._steps = lap.epoch, 0
        before = min(self._steps * self._batch, self._samples_per_epoch)
        self._steps += lap.steps
        samples = min(self._steps * self._batch, self._samples_per_epoch) - before
        seconds, self._end_ns = (lap.end_ns - self._end_ns) / NANOSECONDS, lap.end_ns
        return samples, seconds


def _sum(laps: Sequence[tuple[int, float]]) -> tuple[int, float]:
    return sum(samples for samples, _ in laps), sum(seconds for _, seconds in laps)


def first_part_of(pieces: Sequence[Piece]) -> float | None:
    """How many times as long a sample takes in the first part of a turn as in the rest: the median
    over the turns. None where fewer than six have both."""
    logs = [
        math.log(piece.first_s / piece.first_samples) - math.log(piece.rest_s / piece.rest_samples)
        for piece in pieces
        if min(piece.first_s, piece.first_samples, piece.rest_s, piece.rest_samples) > 0
    ]
    return math.exp(median(logs)) if len(logs) >= MIN_INTERVAL_VALUES else None


def shows(first_parts: Iterable[float | None]) -> bool:
    """Whether the first parts are to be left out of the turns of all entries."""
    return any(part is not None and part >= SHOWS_FROM for part in first_parts)


def turns_of(entries: Sequence[Sequence[Piece]]) -> list[Turn]:
    """The turns of all entries, in rounds."""
    left_out = shows(map(first_part_of, entries))
    return [
        entries[entry][number].as_turn(entry, left_out)
        for number in range(max(map(len, entries), default=0))
        for entry in range(len(entries))
        if number < len(entries[entry])
    ]
