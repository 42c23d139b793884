"""Runs of one machine in one table: after ``run`` with several, in ``table`` and ``results``."""

from __future__ import annotations

from collections.abc import Sequence

from epochmark.analysis.timing.headline import workload_of
from epochmark.analysis.timing.start_up import Clocks, clocks_of
from epochmark.records.dates import age_order
from epochmark.records.fields import Validity
from epochmark.records.record import Record
from epochmark.report.figures import (
    device_id,
    engine_text,
    other_workload,
    seconds_text,
    shortened,
)
from epochmark.report.tables.columns import (
    asked_columns,
    optional_of,
    section_of,
    without_default,
)
from epochmark.report.tables.long import long_rows
from epochmark.report.tables.ranking import Row, ranked_section
from epochmark.report.tables.section import Section

RUN_COLUMNS = (
    "engine (tuning)", "workload", "device_id", "variant", "startup_s", "first_step_s",
    "steady_epoch_s", "interval", "elapsed_s", "time_to_target_s", "images_per_s",
    "test_accuracy", "first_half_loss (second)", "ratio",
)  # fmt: skip
_OF_SOME_WORKLOADS = ("first_half_loss (second)", "time_to_target_s")
RUN_OPTIONAL = (
    *_OF_SOME_WORKLOADS, "images_per_s", "startup_s", "elapsed_s", "test_accuracy",
    "first_step_s",
)  # fmt: skip
NEWEST_COLUMNS = (
    "engine (tuning)", "workload", "device_id", "variant", "steady_epoch_s", "interval",
    "elapsed_s", "time_to_target_s", "images_per_s", "test_accuracy", "first_half_loss (second)",
    "ratio", "label", "measured (day)", "id (of a run)",
)  # fmt: skip
NEWEST_OPTIONAL = (
    *_OF_SOME_WORKLOADS, "images_per_s", "elapsed_s", "test_accuracy", "label", "measured (day)",
    "interval",
)  # fmt: skip
RESULT_COLUMNS = (
    "id", "measured", "engine (tuning)", "workload", "device_id", "variant", "steady_epoch_s",
    "elapsed_s", "time_to_target_s", "images_per_s", "test_accuracy", "first_half_loss (second)",
    "validity", "findings", "label",
)  # fmt: skip
RESULT_OPTIONAL = (
    *_OF_SOME_WORKLOADS, "elapsed_s", "images_per_s", "test_accuracy", "findings", "label",
    "device_id",
)  # fmt: skip

SAID_ONCE = ("workload", "device_id", "variant")
"""Columns that stand in the title where they are the same for all rows."""
MOST_ROWS = 12
"""Of the newest runs; with what is published beside them they fit 40 lines."""
SIDE_BY_SIDE = "Engines are different programs: a ratio compares runs of equal settings only."
_BELIEF: tuple[Validity, ...] = ("invalid", "partial", "disturbed", "valid")


def runs_section(records: Sequence[Record]) -> Section:
    """What ``epochmark run`` with several runs ends in: fastest first, a row for each run, a ratio
    to the fastest valid run of the same comparability key."""
    rows = long_rows(records, ())
    title = f"{_in_common(rows)}: {len(records)} runs, {_order(rows)}"
    return ranked_section(title, rows, _columns(RUN_COLUMNS, rows), RUN_OPTIONAL)


def newest_section(machine: str, records: Sequence[Record], columns: str | None = None) -> Section:
    """The newest run of each way to train on one machine, fastest first; of many the fullest and
    newest ``MOST_ROWS``. ``columns`` are those that the user names, which shows all."""
    newest = sorted(_at_usual_batch(newest_of_each(records)), key=_prominence, reverse=True)
    rows = long_rows(newest[:MOST_ROWS] if columns is None else newest, ())
    names = _columns(NEWEST_COLUMNS, rows)
    title = f"{machine}: {_in_common(rows)}, the newest run of each engine, {_order(rows)}"
    if columns is None:
        return ranked_section(title, rows, names, NEWEST_OPTIONAL)
    asked = asked_columns(columns, names)
    return ranked_section(title, rows, asked, optional_of(columns, NEWEST_OPTIONAL))


def results_section(records: Sequence[Record]) -> Section:
    """All records, in the order given."""
    rows = long_rows(records, ())
    return section_of("", without_default(RESULT_COLUMNS, rows), rows, RESULT_OPTIONAL)


def newest_of_each(records: Sequence[Record]) -> list[Record]:
    """Of each engine, device, settings and amount of work the newest run of the best validity."""
    kept: dict[tuple[object, ...], Record] = {}
    for record in sorted(records, key=_belief):
        run, engine = record.workload, record.engine
        kept[
            engine.name, device_id(record), engine.tuning, record.precision.requested,
            run.name, run.version, tuple(run.variant),
        ] = record  # fmt: skip
    return list(kept.values())


def _at_usual_batch(records: Sequence[Record]) -> list[Record]:
    """Without other batch sizes than the workload's, for engines that have runs at that one: a
    sweep of sizes has a table of its own."""
    usual = {_who_and_what(record) for record in records if _has_usual_batch(record)}
    return [r for r in records if _has_usual_batch(r) or _who_and_what(r) not in usual]


def _who_and_what(record: Record) -> tuple[str, str]:
    return record.engine.name, record.workload.name


def _has_usual_batch(record: Record) -> bool:
    return record.workload.batch_size == workload_of(record.workload).batch_size


def _belief(record: Record) -> tuple[object, ...]:
    return (_BELIEF.index(record.headline.validity), *age_order(record))


def _prominence(record: Record) -> tuple[object, ...]:
    return (not record.workload.variant, *_belief(record))


def _order(rows: Sequence[Row]) -> str:
    several = len({row["workload"] for row in rows}) > 1
    return "by workload, fastest first" if several else "fastest first"


def _columns(names: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """Without those that the title has, since they are the same for all."""
    varying = [name for name in SAID_ONCE if len({row[name] for row in rows}) > 1]
    return [name for name in names if name not in SAID_ONCE or name in varying]


def _in_common(rows: Sequence[Row]) -> str:
    """Workload, variant and device, as far as all runs share them."""
    shared = [
        {row[name] for row in rows} for name in ("workload", "variant", "device_id")
    ]  # fmt: skip
    workload, variant, device = (values.pop() if len(values) == 1 else "" for values in shared)
    parts = (workload, shortened(variant), f"on {device}" if device else "")
    return ", ".join(part for part in parts if part) or "several workloads"


def run_notes(records: Sequence[Record], section: Section) -> list[str]:
    """What the table's figures mean, and why runs are not valid, in lines of text."""
    lines = [SIDE_BY_SIDE] if "ratio" in section.header else []
    clocks = [clocks_of(record) for record in records]
    if any(clock.first_step_s is None and clock.first_epoch_excess_s for clock in clocks):
        lines.append("first step with a +: extra time of the first epoch over a steady one.")
    for record, clock in zip(records, clocks, strict=True):
        if compiles_again(clock):
            lines.append(
                f"{_named(record)}: the first smaller batch took "
                f"{seconds_text(clock.smaller_batch_s)} more than the second, as if compiled again."
            )
    for record in records:
        lines.extend(
            f"{_named(record)}: {finding.code}: {finding.detail}" for finding in record.findings
        )
    return lines


def _named(record: Record) -> str:
    where = f"{engine_text(record)} on {device_id(record)}"
    return ", ".join([where, *other_workload(record.workload.name)])


def compiles_again(clocks: Clocks) -> bool:
    """Whether the smaller last batch seems compiled again: at least a tenth of the first step."""
    extra, first = clocks.smaller_batch_s, clocks.first_step_s
    return extra is not None and first is not None and extra > max(0.1 * first, 0.02)
