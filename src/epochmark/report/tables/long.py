"""One flat row per run and per published figure: what CSV and JSON hold."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from epochmark.analysis.comparing.comparability import key_of
from epochmark.analysis.comparing.references import Reference
from epochmark.analysis.machine.arithmetic import direct_gflop_per_s, share_of_peak
from epochmark.analysis.timing.headline import half_losses
from epochmark.analysis.timing.intervals import Interval
from epochmark.analysis.timing.start_up import clocks_of
from epochmark.analysis.timing.undisturbed import undisturbed_of
from epochmark.records.record import Record
from epochmark.report.digits import printed, range_text, value_text
from epochmark.report.figures import (
    NONE,
    device_id,
    device_name,
    findings_text,
    machine_name,
    percent,
    speed_text,
    targets_of,
    under_images,
)
from epochmark.report.plain_text import plain
from epochmark.report.tables.references import footnotes

COLUMNS = (
    "origin", "id", "machine", "label", "device", "device_kind", "engine", "engine_family",
    "workload", "variant", "precision", "tuning", "validity", "findings", "steady_epoch_s",
    "steady_epoch_low_s", "steady_epoch_high_s", "elapsed_s", "images_per_s", "gflop_per_s",
    "percent_of_peak", "test_accuracy",
    "measured", "notes", "source", "device_id", "framework_version", "threads", "startup_s",
    "first_step_s", "first_epoch_excess_s", "peak_memory_bytes", "usable_cores",
    "time_to_target_s", "first_half_loss", "second_half_loss",
    "undisturbed_epoch_s", "undisturbed_share",
)  # fmt: skip


def long_rows(records: Sequence[Record], references: Sequence[Reference]) -> list[dict[str, Any]]:
    """Rows with the keys ``COLUMNS``: measured runs first, then published figures."""
    return [_of_record(record) for record in records] + [_of_reference(r) for r in references]


def steady_of_row(row: Mapping[str, Any]) -> Interval | None:
    """The steady epoch of a row with its interval."""
    steady, low, high = (row[f"steady_epoch{part}_s"] for part in ("", "_low", "_high"))
    if steady is None:
        return None
    return Interval(steady, steady if low is None else low, steady if high is None else high, 1)


def throughput_of(row: Mapping[str, Any]) -> str:
    """What a row trained in a second, of a row that says it: images, or ``704 tokens``."""
    workload = row["workload"].rpartition(" v")[0]
    text = speed_text(row["images_per_s"] * targets_of(workload), steady_of_row(row))
    return under_images(text, workload)


def is_published(row: Mapping[str, Any]) -> bool:
    """Whether the row is a published figure, which keeps the digits it was printed with."""
    return bool(row["origin"] == "published")


def seconds_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """Steady epoch and its interval as text."""
    interval = steady_of_row(row)
    if interval is None:
        return NONE, NONE
    if is_published(row):
        return printed(interval.median), f"{printed(interval.low)} to {printed(interval.high)}"
    return value_text(interval), range_text(interval)


def arithmetic_of(row: Mapping[str, Any]) -> tuple[str, str]:
    """GFLOP/s of direct arithmetic, and their share of the processor's peak, as text."""
    reached, share = row["gflop_per_s"], row["percent_of_peak"]
    return (
        NONE if reached is None else speed_text(reached, steady_of_row(row)),
        NONE if share is None else percent(share / 100),
    )


def to_csv(rows: Sequence[dict[str, Any]], columns: Sequence[str] = COLUMNS) -> str:
    """The rows as CSV (RFC 4180) with a header line.

    Control characters become spaces; a cell that a spreadsheet would take for a formula gets an
    apostrophe in front.
    """
    stream = io.StringIO()
    writer = csv.DictWriter(stream, columns, extrasaction="ignore")
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
    clocks, calm = clocks_of(record), undisturbed_of(record)
    first_half_loss, second_half_loss = half_losses(record) or (None, None)
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
        "device_id": device_id(record),
        "framework_version": _framework_version(record),
        "threads": _threads(record),
        "startup_s": clocks.startup_s,
        "first_step_s": clocks.first_step_s,
        "first_epoch_excess_s": clocks.first_epoch_excess_s,
        "peak_memory_bytes": record.peak_memory_bytes,
        "usable_cores": record.machine.usable_cores,
        "time_to_target_s": headline.time_to_target_s,
        "first_half_loss": first_half_loss,
        "second_half_loss": second_half_loss,
        "undisturbed_epoch_s": None if calm is None else calm.epoch_s,
        "undisturbed_share": None if calm is None else calm.share,
    }


def _framework_version(record: Record) -> str:
    """Versions of the framework's packages; of the native engine, that of its kernels."""
    versions = ", ".join(f"{name} {version}" for name, version in record.engine.versions.items())
    kernels = record.engine.settings.get("kernel_version")
    return versions or (f"kernels {kernels}" if kernels else "")


def _threads(record: Record) -> int | None:
    """Threads that the engine was set to, else those that were seen to work."""
    named = record.engine.settings.get("threads", "")
    if named.isascii() and named.isdigit() and len(named) < 7:
        return int(named)
    return record.placement.threads if record.placement else None


def _of_reference(reference: Reference) -> dict[str, Any]:
    key = reference.key
    return {
        **dict.fromkeys(COLUMNS),
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
        "measured": "",
        "notes": "; ".join(footnotes(reference)),
        "source": reference.source.url or reference.source.title,
        "device_id": reference.device_kind,
        "framework_version": reference.framework_version or "",
    }
