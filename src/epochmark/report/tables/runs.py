"""What ``epochmark run`` with several engines ends in: one row for each run."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.analysis.comparing.comparability import ComparabilityKey, key_of
from epochmark.analysis.timing.start_up import Clocks, clocks_of
from epochmark.records.record import Record
from epochmark.report.figures import (
    NONE,
    accuracy_text,
    bare_seconds,
    device_id,
    engine_text,
    images_text,
    seconds_text,
    validity_text,
)

RUN_COLUMNS = (
    "engine", "device", "start-up", "first step", "s/epoch", "elapsed", "images/s", "accuracy",
    "ratio", "validity",
)  # fmt: skip


def run_rows(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """One row per run, in ``RUN_COLUMNS``. ``ratio`` is to the fastest valid run of the same
    comparability key among these; there is none across keys."""
    fastest: dict[ComparabilityKey, float] = {}
    for record in records:
        steady = _ranked_s(record)
        if steady is not None:
            key = key_of(record)
            fastest[key] = min(steady, fastest.get(key, steady))
    return [_row(record, fastest.get(key_of(record))) for record in records]


def _ranked_s(record: Record) -> float | None:
    return record.headline.steady_epoch_s if record.headline.validity == "valid" else None


def _row(record: Record, fastest_s: float | None) -> tuple[str, ...]:
    clocks, steady = clocks_of(record), _ranked_s(record)
    ratio = NONE if steady is None or fastest_s is None else f"{steady / fastest_s:.2f}"
    return (
        engine_text(record),
        device_id(record),
        seconds_text(clocks.startup_s),
        first_step_text(clocks),
        steady_text(record),
        seconds_text(record.headline.elapsed_s),
        images_text(record),
        accuracy_text(record),
        ratio,
        validity_text(record),
    )


def steady_text(record: Record) -> str:
    """Steady epoch in seconds with half the width of its interval: ``11.92 ± 0.24``."""
    headline = record.headline
    if headline.steady_epoch_s is None:
        return NONE
    text = bare_seconds(headline.steady_epoch_s)
    low, high = headline.steady_epoch_low_s, headline.steady_epoch_high_s
    if low is None or high is None or low == high:
        return text
    decimals = len(text.partition(".")[2])
    return f"{text} ± {(high - low) / 2:.{decimals}f}"


def first_step_text(clocks: Clocks) -> str:
    """Seconds of the first step; where the engine reports whole epochs only, what the first of
    them took beyond steady speed, marked with a plus sign."""
    if clocks.first_step_s is not None:
        return seconds_text(clocks.first_step_s)
    if clocks.first_epoch_excess_s:
        return f"+{seconds_text(clocks.first_epoch_excess_s)}"
    return NONE


def run_notes(records: Sequence[Record]) -> list[str]:
    """What the table's figures mean, and why runs are not valid, in lines of text."""
    lines = [
        "Each engine is a comparability key of its own: ratios stand inside one key only.",
    ]
    clocks = [clocks_of(record) for record in records]
    if any(one.first_step_s is None and one.first_epoch_excess_s for one in clocks):
        lines.append("first step with a +: what the first epoch took more than a steady one.")
    for record, one in zip(records, clocks, strict=True):
        if compiles_again(one):
            lines.append(
                f"{engine_text(record)} on {device_id(record)}: the first smaller batch took "
                f"{seconds_text(one.smaller_batch_s)} more than the second, as if compiled again."
            )
    for record in records:
        lines.extend(
            f"{engine_text(record)} on {device_id(record)}: {finding.code}: {finding.detail}"
            for finding in record.findings
        )
    return lines


def compiles_again(clocks: Clocks) -> bool:
    """Whether the smaller last batch themes compiled again: at least a tenth of the first step."""
    extra, first = clocks.smaller_batch_s, clocks.first_step_s
    return extra is not None and first is not None and extra > max(0.1 * first, 0.02)
