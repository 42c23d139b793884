"""When runs were made, as far as the clocks that dated them can be believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from epochmark.records.record import Record

FIRST = "2026-01-01T00:00:00Z"
"""No record is older than the tool."""


def now() -> str:
    """The time of day, as records have it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(date: str) -> datetime:
    """A record's date."""
    return datetime.fromisoformat(date)


def is_credible(date: str) -> bool:
    """Whether a run can have been made then: neither before there was a tool to make it, nor in
    the future, whatever the time zone of a clock that was set wrong."""
    return date >= FIRST and moment(date) <= datetime.now(UTC) + timedelta(days=1)


def age_order(record: Record) -> tuple[bool, str, str]:
    """Sorts records from the oldest to the newest; what has a date that cannot be is never the
    newest."""
    return (is_credible(record.created), record.created, record.id)


def local_time(date: str) -> str:
    """A record's date for people, in the time zone of whoever reads it: ``2026-11-29 17:14 CET``.
    What no clock can have shown stays as it is."""
    try:
        return moment(date).astimezone().strftime("%Y-%m-%d %H:%M %Z").strip()
    except (ValueError, OverflowError, OSError):
        return date
