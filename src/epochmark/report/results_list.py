"""Records as rows of text, one line a run."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.report.figures import seconds_text
from epochmark.results.record import Record

RESULT_COLUMNS = (
    "id", "date", "engine", "device", "variant", "s/epoch", "elapsed", "images/s", "accuracy",
    "validity", "label",
)  # fmt: skip


def result_rows(records: Sequence[Record]) -> list[tuple[str, ...]]:
    """One row per record, in ``RESULT_COLUMNS``; a dash where the run did not come so far."""
    return [_row(record) for record in records]


def _row(record: Record) -> tuple[str, ...]:
    headline = record.headline
    reasons = ", ".join(finding.code for finding in record.findings)
    images = headline.images_per_s
    accuracy = headline.test_accuracy
    return (
        record.id[:8],
        record.created.replace("T", " ")[:16],
        record.engine.name,
        record.device.resolved or record.device.requested,
        ", ".join(record.workload.variant) or "-",
        seconds_text(headline.steady_epoch_s).removesuffix(" s"),
        seconds_text(headline.elapsed_s),
        "-" if images is None else f"{images:,.0f}",
        "-" if accuracy is None else f"{accuracy:.2%}",
        f"{headline.validity} ({reasons})" if reasons else headline.validity,
        record.label or "-",
    )
