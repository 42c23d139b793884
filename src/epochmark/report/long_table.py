"""One flat row per run and per published figure: what CSV and JSON hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from epochmark.report.figures import device_id, device_name, findings_text, machine_name
from epochmark.report.references_table import footnotes
from epochmark.results.comparability import key_of
from epochmark.results.record import Record
from epochmark.results.references import Reference

COLUMNS = (
    "origin", "id", "machine", "device", "device_kind", "engine", "engine_family", "workload",
    "variant", "precision", "tuning", "validity", "findings", "steady_epoch_s",
    "steady_epoch_low_s", "steady_epoch_high_s", "elapsed_s", "images_per_s", "test_accuracy",
    "measured", "notes", "source",
)  # fmt: skip


def long_rows(records: Sequence[Record], references: Sequence[Reference]) -> list[dict[str, Any]]:
    """Rows with the keys ``COLUMNS``: measured runs first, then published figures."""
    return [_of_record(record) for record in records] + [_of_reference(r) for r in references]


def to_csv(rows: Sequence[dict[str, Any]]) -> str:
    """The rows as CSV (RFC 4180) with a header line.

    Control characters become spaces; a cell that a spreadsheet would take for a formula gets an
    apostrophe in front.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    writer.writerows({name: _csv_cell(value) for name, value in row.items()} for row in rows)
    return stream.getvalue()


def _csv_cell(value: object) -> object:
    if not isinstance(value, str):
        return value
    text = "".join(c if c.isprintable() else " " for c in value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text


def _of_record(record: Record) -> dict[str, Any]:
    key, headline = key_of(record), record.headline
    return {
        "origin": "measured",
        "id": record.id,
        "machine": machine_name(record),
        "device": device_name(record),
        "device_kind": device_id(record).split(":")[0],
        "engine": record.engine.name,
        "engine_family": key.engine_family,
        "workload": key.workload,
        "variant": ", ".join(key.variant),
        "precision": key.precision,
        "tuning": key.tuning,
        "validity": headline.validity,
        "findings": findings_text(record),
        "steady_epoch_s": headline.steady_epoch_s,
        "steady_epoch_low_s": headline.steady_epoch_low_s,
        "steady_epoch_high_s": headline.steady_epoch_high_s,
        "elapsed_s": headline.elapsed_s,
        "images_per_s": headline.images_per_s,
        "test_accuracy": headline.test_accuracy,
        "measured": record.created,
        "notes": "",
        "source": f"epochmark {record.epochmark_version}",
    }


def _of_reference(reference: Reference) -> dict[str, Any]:
    key = reference.key
    return {
        "origin": "published",
        "id": reference.id,
        "machine": reference.machine,
        "device": reference.device,
        "device_kind": reference.device_kind,
        "engine": reference.framework,
        "engine_family": key.engine_family,
        "workload": key.workload,
        "variant": ", ".join(key.variant),
        "precision": key.precision,
        "tuning": key.tuning,
        "validity": f"published, {reference.confidence}",
        "findings": "",
        "steady_epoch_s": reference.seconds_per_epoch,
        "steady_epoch_low_s": reference.low_s,
        "steady_epoch_high_s": reference.high_s,
        "elapsed_s": None,
        "images_per_s": None,
        "test_accuracy": None,
        "measured": "",
        "notes": "; ".join(footnotes(reference)),
        "source": reference.source.url or reference.source.title,
    }
