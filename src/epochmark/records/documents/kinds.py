"""Which kind of document it is: the record of a run, a race, or a scaling."""

from __future__ import annotations

from typing import Any

from epochmark.records.documents.race import Race, is_race_fields
from epochmark.records.documents.scaling import Scaling, is_scaling_fields
from epochmark.records.json_text import RecordError, parsed
from epochmark.records.record import Record

Document = Record | Race | Scaling


def kind_of_fields(fields: Any) -> type[Document] | None:
    """The kind that a parsed document looks like; it may still be a broken one. None for none."""
    if is_race_fields(fields):
        return Race
    if is_scaling_fields(fields):
        return Scaling
    looks = isinstance(fields, dict) and "schema" in fields and "timing" in fields
    return Record if looks else None


def kind_of(document: bytes) -> type[Document] | None:
    """The same of a document that is not parsed."""
    try:
        return kind_of_fields(parsed(document))
    except RecordError:
        return None


def is_of_runs(document: bytes) -> bool:
    """Whether it is the record of a run, or broken beyond telling; not a document that compares
    several trainings."""
    if b"race_schema" not in document and b"scaling_schema" not in document:
        return True  # most of many: without parsing them
    return kind_of(document) not in (Race, Scaling)
