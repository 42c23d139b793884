"""Keep what cells say in step with their results, at a cost that does not grow with them.

An owner counts once in a cell, by the median of their valid runs, so that who sends most does not
decide. Medians lie in buckets: the doubles that share exponent and leading bits, 0.1 to 0.2 % wide.
Counts of buckets find the bucket of a rank, and an index the value in it, so ranks are exact.
Writers call this one after the other (``Database.writing``).
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import accumulate, groupby
from statistics import median
from typing import Any

import sqlalchemy as sa

from epochmark.analysis.timing.intervals import interval_rank
from epochmark.board.storage.tables import (
    CHIP,
    WAY,
    buckets,
    cells,
    chips,
    owners,
    results,
    ways,
)

KEY = (*WAY, *CHIP, "hardware")
"""Columns in which all results of a cell are equal."""
BUCKETS = 512
"""Between a time and its double."""
KEY_DIGITS = 64
"""Of a sender's key. A result without one is its own owner, by its id of 12 digits."""
COUNTS = ("runs", "valid", "owners")
Counts = dict[str, int]
"""Shown results, valid ones among them, and owners of those."""
AT_A_TIME = 1000
"""Rows that are read ahead."""
SUMS = {ways: WAY, chips: CHIP}
"""Tables of sums over cells, with the columns in which these cells are equal."""


@dataclass(frozen=True)
class Share:
    """What an owner has in a cell; ``median_s`` is None without a valid run."""

    runs: int = 0
    valid: int = 0
    median_s: float | None = None

    @property
    def counts(self) -> Counts:
        """What it adds to its cell."""
        return {"runs": self.runs, "valid": self.valid, "owners": int(self.valid > 0)}

    @property
    def bucket(self) -> int | None:
        """Where the median lies."""
        return None if self.median_s is None else bucket_of(self.median_s)


def bucket_of(seconds: float) -> int:
    """The bucket of a positive time. Exact, so that a longer time is never in a lower bucket."""
    mantissa, exponent = math.frexp(seconds)
    return BUCKETS * exponent + int(BUCKETS * (2 * mantissa - 1))


def seconds_of(bucket: int) -> float:
    """The middle of a bucket: no time in it is further away than 0.1 %."""
    exponent, part = divmod(bucket, BUCKETS)
    return math.ldexp((1 + (part + 0.5) / BUCKETS) / 2, exponent)


@dataclass(frozen=True)
class Ladder:
    """The buckets of a cell in order, and how many of its owners are up to the end of each."""

    buckets: list[int]
    ends: list[int]

    @property
    def owners(self) -> int:
        """How many have a median at all."""
        return self.ends[-1] if self.ends else 0

    def place(self, rank: int) -> tuple[int, int]:
        """The bucket of an owner, and the rank in it; both ranks count from 0."""
        place = bisect_right(self.ends, rank)
        return self.buckets[place], rank - (self.ends[place - 1] if place else 0)


def ladder_of(connection: sa.Connection, cell: str) -> Ladder:
    """The ladder of a cell, from as many rows as it has buckets."""
    chosen = sa.select(buckets.c.bucket, buckets.c.owners).where(buckets.c.cell == cell)
    found = connection.execute(chosen.order_by(buckets.c.bucket)).all()
    return Ladder([row.bucket for row in found], [*accumulate(row.owners for row in found)])


def owner_of(found: Any) -> str:
    """Whose result it is: its key, or its id without one."""
    return str(found.key or found.id)


def ranked(cell: str) -> tuple[sa.ColumnElement[bool], ...]:
    """What chooses the results of a cell that are ranked."""
    return (
        results.c.cell == cell,
        results.c.state == "shown",
        results.c.validity == "valid",
        results.c.steady_epoch_s.is_not(None),
    )


def refresh(connection: sa.Connection, cell: str, owner: str) -> None:
    """Bring what is kept of a cell in step after results of this owner in it have changed."""
    columns = (owners.c.runs, owners.c.valid, owners.c.median_s)
    chosen = (owners.c.cell == cell, owners.c.owner == owner)
    known = connection.execute(sa.select(*columns).where(*chosen)).one_or_none()
    before = Share(*known) if known else Share()
    after = _counted(connection, cell, owner)
    connection.execute(owners.delete().where(*chosen))
    if after.runs:
        connection.execute(owners.insert().values(_owner_row(cell, owner, after)))
    if before.bucket != after.bucket:
        _move(connection, cell, before.bucket, -1)
        _move(connection, cell, after.bucket, 1)
    more = {name: after.counts[name] - before.counts[name] for name in COUNTS}
    _add_to_cell(connection, cell, more)


def _counted(connection: sa.Connection, cell: str, owner: str) -> Share:
    """An owner's results in a cell, read from an index in the order of their times."""
    whose = results.c.key if len(owner) == KEY_DIGITS else results.c.id
    count = sa.select(sa.func.count()).select_from(results)
    shown = (results.c.cell == cell, results.c.state == "shown", whose == owner)
    runs = connection.execute(count.where(*shown)).scalar_one()
    chosen = (*ranked(cell), whose == owner)
    valid = connection.execute(count.where(*chosen)).scalar_one()
    if not valid:
        return Share(runs)
    middle = (
        sa.select(results.c.steady_epoch_s)
        .where(*chosen)
        .order_by(results.c.steady_epoch_s)
        .offset((valid - 1) // 2)
        .limit(2 - valid % 2)
    )
    return Share(runs, valid, median(connection.execute(middle).scalars()))


def _owner_row(cell: str, owner: str, share: Share) -> dict[str, Any]:
    figures = {"runs": share.runs, "valid": share.valid}
    return {
        "cell": cell, "owner": owner, **figures, "median_s": share.median_s, "bucket": share.bucket,
    }  # fmt: skip


def _move(connection: sa.Connection, cell: str, bucket: int | None, by: int) -> None:
    """Count an owner more or less in a bucket; an empty one is removed."""
    if bucket is None:
        return
    chosen = sa.and_(buckets.c.cell == cell, buckets.c.bucket == bucket)
    counted = buckets.update().where(chosen).values(owners=buckets.c.owners + by)
    if not connection.execute(counted).rowcount:
        connection.execute(buckets.insert().values(cell=cell, bucket=bucket, owners=by))
    if by < 0:
        connection.execute(buckets.delete().where(chosen, buckets.c.owners == 0))


def _add_to_cell(connection: sa.Connection, cell: str, more: Counts) -> None:
    """Write a cell's row, and those of its way and its chip, with these counts added; one without
    results is removed."""
    chosen = cells.c.cell == cell
    there = connection.execute(sa.select(cells).where(chosen)).one_or_none()
    key = there or _key_of(connection, cell)
    if key is None:
        return
    counts = {name: more[name] + (getattr(there, name) if there else 0) for name in COUNTS}
    said = {**counts, **_times(connection, cell, counts["owners"])}
    if there is None:
        connection.execute(cells.insert().values(cell=cell, **key._mapping, **said))
    elif counts["runs"]:
        connection.execute(cells.update().where(chosen).values(said))
    else:
        connection.execute(cells.delete().where(chosen))
    for table, columns in SUMS.items():
        _add_to_sum(connection, table, {name: key._mapping[name] for name in columns}, more)


def _key_of(connection: sa.Connection, cell: str) -> sa.Row[Any] | None:
    """What all results of a cell have in common; None where none is shown."""
    chosen = sa.select(*(results.c[name] for name in KEY)).where(
        results.c.cell == cell, results.c.state == "shown"
    )
    return connection.execute(chosen.limit(1)).one_or_none()


def _add_to_sum(
    connection: sa.Connection, table: sa.Table, key: dict[str, str], more: Counts
) -> None:
    chosen = sa.and_(*(table.c[name] == value for name, value in key.items()))
    sums = {name: table.c[name] + more[name] for name in COUNTS}
    if not connection.execute(table.update().where(chosen).values(sums)).rowcount:
        connection.execute(table.insert().values({**key, **more}))
    if more["runs"] < 0:
        connection.execute(table.delete().where(chosen, table.c.runs == 0))


def _times(connection: sa.Connection, cell: str, count: int) -> dict[str, float | None]:
    """The median of a cell's owners with its 95 % interval (below six owners: their range), and
    the fastest of its runs."""
    if not count:
        return dict.fromkeys(("median_s", "low_s", "high_s", "best_s"))
    rank = interval_rank(count)
    low, left, right, high = rank - 1, (count - 1) // 2, count // 2, count - rank
    at = _at(connection, cell, {low, left, right, high})
    fastest = sa.select(sa.func.min(results.c.steady_epoch_s)).where(*ranked(cell))
    return {
        "median_s": median((at[left], at[right])),
        "low_s": at[low],
        "high_s": at[high],
        "best_s": connection.execute(fastest).scalar_one(),
    }


def _at(connection: sa.Connection, cell: str, ranks: Iterable[int]) -> dict[int, float]:
    """The owners' medians at these ranks, which count from 0."""
    ladder, at = ladder_of(connection, cell), {}
    for rank in ranks:
        bucket, inside = ladder.place(rank)
        chosen = sa.select(owners.c.median_s).where(
            owners.c.cell == cell, owners.c.bucket == bucket
        )
        in_order = chosen.order_by(owners.c.median_s).offset(inside).limit(1)
        at[rank] = connection.execute(in_order).scalar_one()
    return at


def count_again(connection: sa.Connection) -> None:
    """Keep everything afresh, in one pass over the results: after the tables themselves changed."""
    for table in (owners, buckets, cells, *SUMS):
        connection.execute(table.delete())
    names = ("cell", "key", "id", "validity", "steady_epoch_s")
    columns = [results.c[name] for name in names]
    order = (results.c.cell, results.c.key, results.c.id)
    chosen = sa.select(*columns).where(results.c.state == "shown").order_by(*order)
    rows = connection.execute(chosen, execution_options={"yield_per": AT_A_TIME})
    for cell, of_cell in groupby(rows, lambda row: row.cell):
        shares = {owner: _share(of_owner) for owner, of_owner in groupby(of_cell, owner_of)}
        _fill(connection, cell, shares)


def _share(found: Iterable[Any]) -> Share:
    """What an owner has, from all of their shown results in a cell."""
    there = [*found]
    seconds = [
        row.steady_epoch_s
        for row in there
        if row.validity == "valid" and row.steady_epoch_s is not None
    ]
    return Share(len(there), len(seconds), median(seconds) if seconds else None)


def _fill(connection: sa.Connection, cell: str, shares: dict[str, Share]) -> None:
    """Write all that is kept of a cell."""
    rows = [_owner_row(cell, owner, share) for owner, share in shares.items()]
    connection.execute(owners.insert(), rows)
    counts = Counter(row["bucket"] for row in rows if row["bucket"] is not None)
    if counts:
        there = [
            {"cell": cell, "bucket": bucket, "owners": count} for bucket, count in counts.items()
        ]
        connection.execute(buckets.insert(), there)
    total: Counter[str] = Counter()
    for share in shares.values():
        total.update(share.counts)
    _add_to_cell(connection, cell, total)
