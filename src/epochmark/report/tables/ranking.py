"""Runs in one table, of each workload the fastest first: what may be ranked, then what may not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from epochmark.analysis.comparing.comparison import ratio_interval
from epochmark.analysis.timing.intervals import Interval
from epochmark.report.digits import ratio_text, significant
from epochmark.report.tables.columns import section_of
from epochmark.report.tables.long import is_published, steady_of_row
from epochmark.report.tables.section import Section

KEY = ("workload", "variant", "precision", "tuning", "engine_family")
"""The comparability key of a row: ratios exist inside one only."""
COARSE_RATIO = 0.02
"""A ratio of published figures that may be so much higher, relative to itself, is a range."""
BELOW = {
    "disturbed": "disturbed, so not ranked{reasons}:",
    "partial": "only a part of the work, so not ranked:",
    "invalid": "failed, or wrong work, so not ranked{reasons}:",
}
"""What stands above the runs of a validity that is not ranked, in this order."""

Row = dict[str, Any]


def ranked_section(
    title: str, rows: Sequence[Row], names: Sequence[str], optional: Sequence[str] | None
) -> Section:
    """Valid runs and published figures by seconds per epoch, then the other runs below lines that
    say why they are not ranked. Columns may be any of ``long_rows``, and ``rank`` and ``ratio``;
    ``optional`` is as for ``section_of``."""
    ranked = sorted(filter(_is_ranked, rows), key=_place)
    ordered = _with_ranks(ranked)
    lines: list[tuple[int, str]] = []
    unranked = sorted((row for row in rows if not _is_ranked(row)), key=_place)
    for validity, line in BELOW.items():
        below = [row for row in unranked if _below(row) == validity]
        if below:
            lines.append((len(ordered), line.format(reasons=_reasons(below, names))))
            ordered += below
    return replace(section_of(title, names, ordered, optional), lines=tuple(lines))


def _reasons(rows: Sequence[Row], names: Sequence[str]) -> str:
    """The findings behind these rows, where no column has them."""
    if any("findings" in name for name in names):
        return ""
    found = dict.fromkeys(code for row in rows for code in row["findings"].split(", ") if code)
    return f" ({', '.join(found)})" if found else ""


def _is_ranked(row: Row) -> bool:
    return row["steady_epoch_s"] is not None and (is_published(row) or row["validity"] == "valid")


def _below(row: Row) -> str:
    """Under which line a row stands; a valid run without a figure did a part of the work."""
    return "partial" if row["validity"] == "valid" else str(row["validity"])


def _place(row: Row) -> tuple[str, bool, float]:
    """Fastest first, each workload by itself: an epoch of one is not one of another."""
    seconds = row["steady_epoch_s"]
    return (row["workload"], seconds is None, seconds or 0.0)


def _with_ranks(ranked: Sequence[Row]) -> list[Row]:
    """The rows with their ranks, and how many times as long each takes as the fastest of its key,
    where that has several."""
    counts = Counter(map(_key, ranked))
    fastest: dict[tuple[str, ...], Row] = {}
    rows = []
    for number, row in enumerate(ranked, start=1):
        first = fastest.setdefault(_key(row), row)
        ratio = "1" if row is first else _ratio(row, first)
        alone = counts[_key(row)] == 1
        rows.append({**row, "rank": str(number), "ratio": "" if alone else ratio})
    return rows


def _key(row: Row) -> tuple[str, ...]:
    return tuple(row[part] for part in KEY)


def _ratio(row: Row, fastest: Row) -> str:
    own, best = _steady(row), _steady(fastest)
    if min(own.low, best.low) <= 0:
        return ""
    exact = is_published(row) or is_published(fastest)
    ratio = ratio_interval(own, best, exact)
    if exact and ratio.high - ratio.low > COARSE_RATIO * ratio.low:
        low, high = significant(ratio.low, 2), significant(ratio.high, 2)
        return low if low == high else f"{low} to {high}"
    return ratio_text(ratio)


def _steady(row: Row) -> Interval:
    steady = steady_of_row(row)
    assert steady is not None, "only rows with a figure are ranked"
    return steady
