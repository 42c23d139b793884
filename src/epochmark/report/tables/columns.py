"""The columns of tables that people read: heading and cell for each column of the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from epochmark.errors import EpochmarkError, unknown
from epochmark.records.dates import local_time
from epochmark.report.figures import (
    NONE,
    bare_seconds,
    other_workload,
    percent,
    seconds_text,
    shortened,
)
from epochmark.report.tables.long import (
    COLUMNS,
    arithmetic_of,
    is_published,
    seconds_of,
    throughput_of,
)
from epochmark.report.tables.section import Section

Row = Mapping[str, Any]
"""A row of ``long_rows``, with what a table adds to it (rank, ratio)."""

INTERVAL = "interval"
"""A column that only tables of text have: both ends of the steady epoch's interval."""
DAY = len("2026-11-29")
DEFAULT = ("stock", "")
"""What goes without saying, where a column has nothing else."""


@dataclass(frozen=True)
class _Column:
    heading: str
    cell: Callable[[Row], str]


def text_of(names: Sequence[str], row: Row) -> tuple[str, ...]:
    """The cells of a row in these columns."""
    return tuple(_column(name).cell(row) for name in names)


def headings(names: Sequence[str]) -> tuple[str, ...]:
    """What stands over these columns."""
    return tuple(_column(name).heading for name in names)


def section_of(
    title: str, names: Sequence[str], rows: Sequence[Row], optional: Sequence[str] | None = ()
) -> Section:
    """A table of these rows, without the columns that are empty in all of them; ``optional`` None:
    with all columns, since the user named them."""
    filled = [name for name in names if any(_column(name).cell(row) != NONE for row in rows)]
    filled = list(names) if optional is None else filled
    return Section(
        title,
        headings(filled),
        tuple(text_of(filled, row) for row in rows),
        optional=headings([name for name in optional or () if name in filled]),
    )


def asked_columns(text: str, usual: Sequence[str]) -> list[str]:
    """The columns a user names, separated by commas; ``+`` before the first one adds them to the
    ``usual`` ones. Raises ``EpochmarkError`` (exit code 2) for a column that is none."""
    names = [name.strip() for name in text.removeprefix("+").split(",")]
    if not all(names):
        raise EpochmarkError(
            f"--columns takes names separated by commas, such as engine,threads; not {text!r}",
            exit_code=2,
        )
    offered = (*COLUMNS, INTERVAL)
    for name in names:
        if name not in offered:
            raise unknown("column", name, offered)
    return list(dict.fromkeys([*(usual if text.startswith("+") else ()), *names]))


def optional_of(text: str, usual: Sequence[str]) -> list[str] | None:
    """Which columns may be left out of those that a user named: of the ``usual`` ones those that
    were not named; None where all were."""
    if not text.startswith("+"):
        return None
    named = asked_columns(text.removeprefix("+"), ())
    return [name for name in usual if name not in named]


def data_columns(names: Sequence[str]) -> list[str]:
    """The same for data, which have the ends of an interval in columns of their own."""
    ends = ("steady_epoch_low_s", "steady_epoch_high_s")
    found = [part for name in names for part in (ends if name == INTERVAL else (name,))]
    return list(dict.fromkeys(found))


def _column(name: str) -> _Column:
    return _SHOWN.get(name) or _Column(name.replace("_", " "), _as_it_is(name))


def _as_it_is(name: str) -> Callable[[Row], str]:
    return lambda row: NONE if row.get(name) in (None, "") else str(row[name])


def _name(name: str) -> Callable[[Row], str]:
    return lambda row: shortened(str(row[name])) if row[name] else NONE


def _seconds(name: str) -> Callable[[Row], str]:
    return lambda row: seconds_text(row[name])


def _id(row: Row) -> str:
    return str(row["id"]) if is_published(row) else _run(row)


def _run(row: Row) -> str:
    return NONE if is_published(row) else str(row["id"])[:8]


def _machine(row: Row) -> str:
    return shortened(f"{row['machine']} ({row['label']})" if row["label"] else row["machine"])


def _engine(row: Row) -> str:
    return str(row["engine"]) if row["tuning"] in DEFAULT else f"{row['engine']} {row['tuning']}"


def _validity(row: Row) -> str:
    return f"{row['validity']} ({row['findings']})" if row["findings"] else str(row["validity"])


def _images(row: Row) -> str:
    return NONE if row["images_per_s"] is None else throughput_of(row)


def _accuracy(row: Row) -> str:
    accuracy = row["test_accuracy"]
    return NONE if accuracy is None else f"{accuracy:.2%}"


def _loss(name: str) -> Callable[[Row], str]:
    return lambda row: NONE if row[name] is None else f"{row[name]:.4f}"


def _by_half(row: Row) -> str:
    if row["first_half_loss"] is None:
        return NONE
    return f"{row['first_half_loss']:.3f} and {row['second_half_loss']:.3f}"


def _measured(row: Row) -> str:
    return local_time(row["measured"]) if row["measured"] else NONE


def _day(row: Row) -> str:
    return _measured(row)[:DAY]


def _first_step(row: Row) -> str:
    """Of an engine that reports whole epochs only what the first took more, marked with a plus."""
    if row["first_step_s"] is not None:
        return seconds_text(row["first_step_s"])
    excess_s = row["first_epoch_excess_s"]
    return f"+{seconds_text(excess_s)}" if excess_s else NONE


def _memory(row: Row) -> str:
    size = row["peak_memory_bytes"]
    return NONE if size is None else f"{size / 2**20:,.0f} MiB"


def _undisturbed_share(row: Row) -> str:
    share = row["undisturbed_share"]
    return NONE if share is None else percent(share)


def _bare(name: str) -> Callable[[Row], str]:
    return lambda row: bare_seconds(row[name])


_SHOWN = {
    "id": _Column("id", _id),
    "id (of a run)": _Column("id", _run),
    "machine": _Column("machine", _name("machine")),
    "machine (label)": _Column("machine", _machine),
    "device": _Column("device", _name("device")),
    "device_id": _Column("device", _as_it_is("device_id")),
    "engine (tuning)": _Column("engine", _engine),
    "label": _Column("label", _name("label")),
    "validity (findings)": _Column("validity", _validity),
    "steady_epoch_s": _Column("s/epoch", lambda row: seconds_of(row)[0]),
    "steady_epoch_low_s": _Column("s/epoch from", _bare("steady_epoch_low_s")),
    "steady_epoch_high_s": _Column("s/epoch to", _bare("steady_epoch_high_s")),
    INTERVAL: _Column(INTERVAL, lambda row: seconds_of(row)[1]),
    "elapsed_s": _Column("elapsed", _seconds("elapsed_s")),
    "images_per_s": _Column("images/s", _images),
    "gflop_per_s": _Column("GFLOP/s", lambda row: arithmetic_of(row)[0]),
    "percent_of_peak": _Column("of peak", lambda row: arithmetic_of(row)[1]),
    "test_accuracy": _Column("accuracy", _accuracy),
    "time_to_target_s": _Column("to target", _seconds("time_to_target_s")),
    "first_half_loss": _Column("loss, first half", _loss("first_half_loss")),
    "second_half_loss": _Column("loss, second half", _loss("second_half_loss")),
    "first_half_loss (second)": _Column("loss by half", _by_half),
    "measured": _Column("measured", _measured),
    "measured (day)": _Column("measured", _day),
    "framework_version": _Column("framework", _as_it_is("framework_version")),
    "startup_s": _Column("start-up", _seconds("startup_s")),
    "first_step_s": _Column("first step", _first_step),
    "first_epoch_excess_s": _Column("first epoch +", _seconds("first_epoch_excess_s")),
    "peak_memory_bytes": _Column("memory", _memory),
    "undisturbed_epoch_s": _Column("s/epoch undisturbed", _bare("undisturbed_epoch_s")),
    "undisturbed_share": _Column("of the time", _undisturbed_share),
}
"""Columns whose text is another than the value. With something in brackets: two columns of the data
in one, or a part of one."""

LONG_COLUMNS = (
    "machine (label)", "device", "engine", "workload", "tuning", "precision", "variant",
    "steady_epoch_s", INTERVAL, "time_to_target_s", "images_per_s", "gflop_per_s",
    "percent_of_peak", "test_accuracy", "first_half_loss (second)", "validity (findings)",
    "measured",
)  # fmt: skip
LONG_OPTIONAL = (
    "first_half_loss (second)", "time_to_target_s", "gflop_per_s", "percent_of_peak", "precision",
    "images_per_s", "test_accuracy", "tuning", "measured", INTERVAL, "device",
)  # fmt: skip


def without_default(names: Sequence[str], rows: Sequence[Row]) -> list[str]:
    """The columns without that of the workload, where all rows have the default one."""
    other = any(other_workload(row["workload"].rpartition(" v")[0]) for row in rows)
    return [name for name in names if name != "workload" or other]


def long_section(rows: Sequence[Row], columns: str | None = None) -> Section:
    """The rows as a table of text for people, in the order given; ``columns`` are those that the
    user names."""
    title = "All runs and published figures"
    if columns is None:
        return section_of(title, without_default(LONG_COLUMNS, rows), rows, LONG_OPTIONAL)
    asked = asked_columns(columns, without_default(LONG_COLUMNS, rows))
    return section_of(title, asked, rows, optional_of(columns, LONG_OPTIONAL))
