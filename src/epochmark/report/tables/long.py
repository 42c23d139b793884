"""One flat row per run and per published figure: what CSV and JSON hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from epochmark.analysis.comparing.comparability import key_of
from epochmark.analysis.comparing.references import Reference
from epochmark.analysis.machine.arithmetic import direct_gflop_per_s, share_of_peak
from epochmark.records.record import Record
from epochmark.report.figures import (
    NONE,
    bare_seconds,
    device_id,
    device_name,
    findings_text,
    machine_name,
    percent,
    rate,
)
from epochmark.report.plain_text import plain
from epochmark.report.tables.references import footnotes
from epochmark.report.tables.sections import Section

COLUMNS = (
    "origin", "id", "machine", "label", "device", "device_kind", "engine", "engine_family",
    "workload", "variant", "precision", "tuning", "validity", "findings", "steady_epoch_s",
    "steady_epoch_low_s", "steady_epoch_high_s", "elapsed_s", "images_per_s", "gflop_per_s",
    "percent_of_peak", "test_accuracy",
    "measured", "notes", "source",
)  # fmt: skip


def long_rows(records: Sequence[Record], references: Sequence[Reference]) -> list[dict[str, Any]]:
    """Rows with the keys ``COLUMNS``: measured runs first, then published figures."""
    return [_of_record(record) for record in records] + [_of_reference(r) for r in references]


LONG_HEADER = (
    "machine", "device", "engine", "tuning", "precision", "variant", "s/epoch", "interval",
    "images/s", "GFLOP/s", "of peak", "accuracy", "validity", "measured",
)  # fmt: skip


def long_section(rows: Sequence[dict[str, Any]]) -> Section:
    """The rows as a table of text for people, in the order given."""
    return Section("All runs and published figures", LONG_HEADER, tuple(map(_text_row, rows)))


def seconds_of(row: dict[str, Any]) -> tuple[str, str]:
    """Steady epoch and its interval as text; a published figure with the digits it has."""
    figures = [row[f"steady_epoch{part}_s"] for part in ("", "_low", "_high")]
    write = bare_seconds if row["origin"] == "measured" else "{:g}".format
    value, low, high = (NONE if one is None else write(one) for one in figures)
    return value, NONE if low == NONE else f"{low} to {high}"


def arithmetic_of(row: dict[str, Any]) -> tuple[str, str]:
    """GFLOP/s of direct arithmetic, and their share of the processor's peak, as text."""
    reached, share = row["gflop_per_s"], row["percent_of_peak"]
    return (
        NONE if reached is None else rate(reached),
        NONE if share is None else percent(share / 100),
    )


def _text_row(row: dict[str, Any]) -> tuple[str, ...]:
    seconds, interval = seconds_of(row)
    images, accuracy = row["images_per_s"], row["test_accuracy"]
    return (
        f"{row['machine']} ({row['label']})" if row["label"] else row["machine"],
        row["device"],
        row["engine"],
        row["tuning"],
        row["precision"],
        row["variant"] or NONE,
        seconds,
        interval,
        NONE if images is None else f"{images:,.0f}",
        *arithmetic_of(row),
        NONE if accuracy is None else f"{accuracy:.2%}",
        f"{row['validity']} ({row['findings']})" if row["findings"] else row["validity"],
        row["measured"][:10] or NONE,
    )


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
    text = plain(value)
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text


def _of_record(record: Record) -> dict[str, Any]:
    key, headline, share = key_of(record), record.headline, share_of_peak(record)
    return {
        "origin": "measured",
        "id": record.id,
        "machine": machine_name(record),
        "label": record.label or "",
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
        "gflop_per_s": direct_gflop_per_s(record, headline.images_per_s),
        "percent_of_peak": None if share is None else 100 * share,
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
        "label": "",
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
        "gflop_per_s": None,
        "percent_of_peak": None,
        "test_accuracy": None,
        "measured": "",
        "notes": "; ".join(footnotes(reference)),
        "source": reference.source.url or reference.source.title,
    }
