"""Where a run stands among the machines of a board, without sending it."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec

from epochmark.analysis.comparing.comparability import ComparabilityKey
from epochmark.analysis.timing.intervals import Interval
from epochmark.board.client.request import answer_to
from epochmark.board.protocol import KEY_PARTS, STANDING_PATH
from epochmark.errors import EpochmarkError

Text = Annotated[str, msgspec.Meta(max_length=1000)]
Seconds = Annotated[float, msgspec.Meta(gt=0.0, lt=1e9)]
Count = Annotated[int, msgspec.Meta(ge=1)]


class Cell(msgspec.Struct, frozen=True):
    """Like machines with the chip: the median of their owners with its interval, and the owners'
    own medians, of many owners those at each percent."""

    cell: Text
    hardware: Text
    device_kind: Text
    owners: Count
    runs: Count
    median_s: Seconds
    low_s: Seconds
    high_s: Seconds
    quantiles_s: Annotated[list[Seconds], msgspec.Meta(min_length=1, max_length=200)]

    @property
    def interval(self) -> Interval:
        return Interval(self.median_s, self.low_s, self.high_s, self.owners)


class Answer(msgspec.Struct, frozen=True):
    """What a board says of a chip under one key; ``other_keys`` are those it has of it besides."""

    chip: Text
    cells: Annotated[list[Cell], msgspec.Meta(max_length=100)]
    other_keys: Annotated[list[dict[str, Text]], msgspec.Meta(max_length=100)]


@dataclass(frozen=True)
class Among:
    """A run among the ``owners`` of like machines: as fast as ``slower`` of them are not.

    ``percent`` is their share. Of more than 101 owners both are as near as a percent.
    """

    slower: int
    owners: int

    @property
    def percent(self) -> float:
        return 100 * self.slower / self.owners


def ask_for(origin: str, chip: str, key: ComparabilityKey) -> Answer:
    """What the board has of this chip under a run's key; nothing of the run leaves but its key.

    Raises ``EpochmarkError`` where the board refuses, is not there, or is none.
    """
    query = {name: getattr(key, name) for name in KEY_PARTS}
    query |= {"variant": ", ".join(key.variant), "chip": chip}
    answer: Any = answer_to("GET", f"{origin}{STANDING_PATH}?{urlencode(query)}", {}, None)
    try:
        return msgspec.convert(answer, Answer)
    except msgspec.ValidationError as error:
        raise EpochmarkError(f"{origin} answered what no board does: {error}") from error


def among(cell: Cell, seconds: float) -> Among:
    """Where a run stands that takes this time for an epoch."""
    ordered = sorted(cell.quantiles_s)
    share = 1 - bisect.bisect_right(ordered, seconds) / len(ordered)
    return Among(round(share * cell.owners), cell.owners)
