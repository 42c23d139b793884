"""What repeated runs say beyond a single one: the spread within runs and between them, apart."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from epochmark.analysis.comparing.comparability import ComparabilityKey, key_of
from epochmark.analysis.timing.headline import steady_of
from epochmark.analysis.timing.intervals import Interval
from epochmark.analysis.timing.steady_epoch import SteadyEpoch
from epochmark.records.record import Record
from epochmark.report.digits import value_text
from epochmark.report.figures import device_id, engine_text

Group = tuple[str, str, ComparabilityKey]


def spread_lines(records: Sequence[Record]) -> list[str]:
    """A line for each engine and device that ran more than once. Only valid runs count."""
    groups: dict[Group, list[Record]] = {}
    for record in records:
        group = (engine_text(record), device_id(record), key_of(record))
        groups.setdefault(group, []).append(record)
    return [_line(group, members) for group, members in groups.items() if len(members) > 1]


def _line(group: Group, records: Sequence[Record]) -> str:
    name = ", ".join((f"{group[0]} on {group[1]}", *group[2].variant))
    steady = [steady_of(record) for record in records if record.headline.validity == "valid"]
    known = [epoch for epoch in steady if epoch is not None]
    left_out = len(records) - len(known)
    note = f"; {left_out} not valid and left out" if left_out else ""
    if len(known) < 2:
        return f"{name}: no spread between runs, since {len(known)} of {len(records)} are valid"
    figures = [epoch.interval.median for epoch in known]
    middle = Interval(statistics.median(figures), min(figures), max(figures), len(figures))
    return (
        f"{name}: {value_text(middle)} s per epoch, median of {len(known)} runs "
        f"(within a run ±{_within(known):.1%}, between runs ±{_between(known):.1%}{note})"
    )


def _within(runs: Sequence[SteadyEpoch]) -> float:
    """Half the interval of the typical run, as a share of its steady epoch."""
    return statistics.median(run.half_width for run in runs)


def _between(runs: Sequence[SteadyEpoch]) -> float:
    """Half the range of the runs' steady epochs, as a share of their median."""
    figures = [run.interval.median for run in runs]
    return (max(figures) - min(figures)) / 2 / statistics.median(figures)
