"""Results and decisions in lists, newest first, a page at a time by the number of the last seen."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from epochmark.board.storage.tables import decisions, results

MOST_ROWS = 100
LOOKED_THROUGH = 1000
"""Results of one filter among which those of the others are looked for in one go."""
_NARROWEST = (
    "key", "cell", "chip", "chip_name", "engine", "validity", "precision", "tuning", "device_kind",
    "workload",
)  # fmt: skip
"""Filters, that which likely leaves fewest results first. A chip's name stands behind the chip."""

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
    """Shown results in which these columns (of ``FILTERS``) have these values. Of several filters
    there is no index: a page then looks no further than ``LOOKED_THROUGH`` results, and may have
    fewer rows than there are."""
    chosen = sa.select(*(results.c[name] for name in LISTED)).where(
        results.c.state == "shown", *(results.c[name] == value for name, value in equal.items())
    )
    if len(equal) < 2:
        return _page(connection, chosen, results.c.number, before, count)
    near = _near(equal, before)
    inspected = sa.select(sa.func.count(), sa.func.min(near.c.number))
    looked_at, last = connection.execute(inspected).one()
    chosen = chosen.join(near, near.c.number == results.c.number)
    page = _page(connection, chosen, near.c.number, None, count)
    is_whole = page.before is not None or looked_at < LOOKED_THROUGH
    return page if is_whole else Page(page.rows, last)


def _near(equal: dict[str, str], before: int | None) -> sa.Subquery:
    """The numbers of the next results of the narrowest filter."""
    name = min(equal, key=_NARROWEST.index)
    chosen = sa.select(results.c.number).where(
        results.c.state == "shown", results.c[name] == equal[name]
    )
    if before is not None:
        chosen = chosen.where(results.c.number < before)
    return chosen.order_by(results.c.number.desc()).limit(LOOKED_THROUGH).subquery("near")


def shown_among(connection: sa.Connection, ids: Collection[str]) -> set[str]:
    """Which of these are ids of shown results.

    The state is not asked for: SQLite, which takes few results to be in a state, would look for
    many ids among all that are shown.
    """
    chosen = sa.select(results.c.id, results.c.state).where(results.c.id.in_(ids))
    return {found.id for found in connection.execute(chosen) if found.state == "shown"}


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
