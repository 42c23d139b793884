"""Where a run stands among the published machines that did the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from epochmark.analysis.comparing.comparability import ComparabilityKey, key_of
from epochmark.analysis.comparing.references import Reference
from epochmark.analysis.timing.intervals import Interval
from epochmark.records.dates import age_order
from epochmark.records.record import Record


@dataclass(frozen=True)
class Standing:
    """The place of a figure among ``of`` machines, itself included: ``best`` to ``worst``, as far
    as its interval and the digits of the published figures show.

    ``faster`` is the slowest machine that is surely faster, ``slower`` the fastest that is surely
    slower; None where there is none.
    """

    best: int
    worst: int
    of: int
    faster: Reference | None
    slower: Reference | None


def comparable_with(key: ComparabilityKey, references: Sequence[Reference]) -> list[Reference]:
    """The published machines that may be ranked among runs of this key, fastest first."""
    found = [reference for reference in references if reference.rankable and reference.key == key]
    return sorted(found, key=lambda reference: reference.seconds_per_epoch)


def standing_of(steady: Interval, comparable: Sequence[Reference]) -> Standing:
    """Its place among these, which are sorted by speed."""
    faster = [reference for reference in comparable if reference.high_s < steady.low]
    slower = [reference for reference in comparable if reference.low_s > steady.high]
    return Standing(
        best=len(faster) + 1,
        worst=len(comparable) - len(slower) + 1,
        of=len(comparable) + 1,
        faster=faster[-1] if faster else None,
        slower=slower[0] if slower else None,
    )


def newest_comparable(records: Sequence[Record], references: Sequence[Reference]) -> Record | None:
    """The newest valid run, else the newest disturbed one, that did what published machines did."""
    found = [
        record
        for record in records
        if record.headline.validity in ("valid", "disturbed")
        and record.headline.steady_epoch_s is not None
        and comparable_with(key_of(record), references)
    ]
    return max(
        found,
        key=lambda record: (record.headline.validity == "valid", age_order(record)),
        default=None,
    )
