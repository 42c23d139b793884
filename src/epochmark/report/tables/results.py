"""Records as rows of text, one line a run."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.records.record import Record
from epochmark.report.figures import (
    NONE,
    accuracy_text,
    bare_seconds,
    device_id,
    engine_text,
    images_text,
    seconds_text,
    shortened,
    validity_text,
)

RESULT_COLUMNS = (
    "id", "date", "engine", "device", "variant", "s/epoch", "elapsed", "images/s", "accuracy",
    "validity", "label",
)  # fmt: skip


def result_rows(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """One row per record, in ``RESULT_COLUMNS``; a dash where the run did not come so far."""
    return [_row(record) for record in records]


def _row(record: Record) -> tuple[str, ...]:
    return (
        record.id[:8],
        record.created.replace("T", " ")[:16],
        engine_text(record),
        device_id(record),
        ", ".join(record.workload.variant) or NONE,
        bare_seconds(record.headline.steady_epoch_s),
        seconds_text(record.headline.elapsed_s),
        images_text(record),
        accuracy_text(record),
        validity_text(record),
        shortened(record.label or NONE),
    )
