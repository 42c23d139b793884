"""Results and decisions in lists, newest first, a page at a time by the number of the last seen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from epochmark.board.storage.tables import decisions, results

MOST_ROWS = 100

LISTED = (
    "number", "id", "digest", "received", "key", "cell", "workload", "variant", "engine",
    "versions", "engine_family", "tuning", "precision", "device_kind", "chip", "chip_name",
    "hardware", "validity", "steady_epoch_s", "steady_epoch_low_s", "steady_epoch_high_s",
    "samples_per_s", "elapsed_s", "test_accuracy", "measured", "derived_by",
)  # fmt: skip


@dataclass(frozen=True)
class Page:
    """Some rows, and the number to go on from; None where these are the last."""

    rows: list[sa.Row[Any]]
    before: int | None


def shown_results(
    connection: sa.Connection, equal: dict[str, str], before: int | None, count: int
) -> Page:
    """Shown results in which these columns (of ``FILTERS``) have these values."""
    chosen = sa.select(*(results.c[name] for name in LISTED)).where(
        results.c.state == "shown", *(results.c[name] == value for name, value in equal.items())
    )
    return _page(connection, chosen, results.c.number, before, count)


def shown_among(connection: sa.Connection, ids: Collection[str]) -> set[str]:
    """Which of these are ids of shown results."""
    chosen = sa.select(results.c.id).where(results.c.id.in_(ids), results.c.state == "shown")
    return {*connection.execute(chosen).scalars()}


def log_of_decisions(connection: sa.Connection, before: int | None, count: int) -> Page:
    """What the operator decided."""
    return _page(connection, sa.select(decisions), decisions.c.number, before, count)


def _page(
    connection: sa.Connection,
    chosen: sa.Select[Any],
    number: sa.ColumnElement[Any],
    before: int | None,
    count: int,
) -> Page:
    """``count`` rows with lower numbers than ``before``, and one more to know if there are any."""
    if before is not None:
        chosen = chosen.where(number < before)
    rows = [*connection.execute(chosen.order_by(number.desc()).limit(count + 1))]
    return Page(rows[:count], rows[count - 1].number if len(rows) > count else None)
