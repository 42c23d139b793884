"""Which runs and published figures a table shows, and in which order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, get_args

from epochmark.analysis.comparing.references import Reference
from epochmark.errors import EpochmarkError, unknown
from epochmark.records.fields import Validity
from epochmark.records.record import Record
from epochmark.report.figures import device_id, device_name, labelled_machine
from epochmark.report.tables.long import COLUMNS

VALIDITIES = (*get_args(Validity), "published")
FIELDS = ("chip", "engine", "device", "workload", "validity")

Test = Callable[[Record | Reference], bool]


def chosen(
    records: Sequence[Record], references: Sequence[Reference], filters: Sequence[str]
) -> tuple[list[Record], list[Reference]]:
    """Those that meet every filter, each written ``field=value``.

    ``chip`` is met when machine or device have the value in their name, ``engine`` by its name or
    family, ``device`` by its id or kind (``gpu``), ``workload`` by its name, ``validity`` by the
    word; published figures have the validity ``published``. Case does not matter. Raises
    ``EpochmarkError`` for another field or validity.
    """
    tests = [_test(text) for text in filters]
    return (
        [record for record in records if all(test(record) for test in tests)],
        [reference for reference in references if all(test(reference) for test in tests)],
    )


def _test(text: str) -> Test:
    field, equals, value = text.partition("=")
    if not equals or field not in FIELDS:
        raise EpochmarkError(
            f"{text!r} is not a filter; write FIELD=VALUE with one of: {', '.join(FIELDS)}",
            exit_code=2,
        )
    wanted = value.lower()
    if field == "validity" and wanted not in VALIDITIES:
        raise unknown("validity", value, VALIDITIES)

    def meets(run: Record | Reference) -> bool:
        names = [name.lower() for name in _names(run)[field]]
        return any(wanted in name if field == "chip" else wanted == name for name in names)

    return meets


def _names(run: Record | Reference) -> dict[str, list[str]]:
    """What each filter field is compared with."""
    if isinstance(run, Reference):
        return {
            "chip": [run.machine, run.device],
            "engine": [run.framework, run.comparability.engine_family],
            "device": [run.device_kind],
            "workload": [run.comparability.workload.partition(" ")[0]],
            "validity": ["published"],
        }
    device = device_id(run)
    return {
        "chip": [labelled_machine(run), device_name(run), run.machine.cpu],
        "engine": [run.engine.name, run.engine.family],
        "device": [device, device.split(":")[0]],
        "workload": [run.workload.name],
        "validity": [run.headline.validity],
    }


def in_order(rows: Sequence[dict[str, Any]], column: str) -> list[dict[str, Any]]:
    """Long rows by a column, the other way round with ``-`` before it; rows without a value last.

    Raises ``EpochmarkError`` for a column that is none.
    """
    name = column.removeprefix("-")
    if name not in COLUMNS:
        raise unknown("column", name, COLUMNS)
    present = [row for row in rows if row[name] not in (None, "")]
    missing = [row for row in rows if row[name] in (None, "")]
    present.sort(key=lambda row: row[name], reverse=column.startswith("-"))
    return [*present, *missing]
