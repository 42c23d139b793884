"""What is read of cells: their rows, where a result stands in one, the newest runs of one."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from epochmark.board.storage.keeping import (
    bucket_of,
    ladder_of,
    owner_of,
    ranked,
    seconds_of,
)
from epochmark.board.storage.tables import WAY, buckets, cells, owners, results, ways


@dataclass(frozen=True)
class Standing:
    """Among the ``others`` who have valid runs in a result's cell, ``slower`` are slower."""

    slower: int
    others: int


def standing(connection: sa.Connection, found: sa.Row[Any]) -> Standing:
    """Where a result stands among the other owners of its cell. Owners in slower buckets are
    counted by their sums, and one by one only in the result's own bucket."""
    seconds, bucket = found.steady_epoch_s, bucket_of(found.steady_epoch_s)
    slower = sa.select(sa.func.coalesce(sa.func.sum(buckets.c.owners), 0)).where(
        buckets.c.cell == found.cell, buckets.c.bucket > bucket
    )
    inside = sa.select(sa.func.count()).where(
        owners.c.cell == found.cell, owners.c.bucket == bucket, owners.c.median_s > seconds
    )
    all_of = sa.select(cells.c.owners).where(cells.c.cell == found.cell)
    own = sa.select(owners.c.median_s).where(
        owners.c.cell == found.cell, owners.c.owner == owner_of(found)
    )
    mine = connection.execute(own).scalar()
    above, beside, others = (
        connection.execute(chosen).scalar() or 0 for chosen in (slower, inside, all_of)
    )
    if mine is None:
        return Standing(above + beside, others)
    return Standing(above + beside - (mine > seconds), others - 1)


def best_of_cell(connection: sa.Connection, cell: str) -> float | None:
    """The fastest valid time of a cell; None without any."""
    return connection.execute(sa.select(cells.c.best_s).where(cells.c.cell == cell)).scalar()


def slowest_of_cell(connection: sa.Connection, cell: str) -> float:
    """The slowest valid time of a cell that has some."""
    chosen = sa.select(sa.func.max(results.c.steady_epoch_s)).where(*ranked(cell))
    return float(connection.execute(chosen).scalar_one())


def owners_of_cell(
    connection: sa.Connection, cell: str, first: int, count: int
) -> list[sa.Row[Any]]:
    """At most ``count`` owners of a cell by their medians, fastest first, from the one whose rank
    is ``first``, which counts from 1: ``owner``, ``valid`` runs and ``median_s``."""
    ladder = ladder_of(connection, cell)
    if first > ladder.owners:
        return []
    bucket, inside = ladder.place(first - 1)
    order = (owners.c.bucket, owners.c.median_s, owners.c.owner)
    chosen = sa.select(owners.c.owner, owners.c.valid, owners.c.median_s).where(
        owners.c.cell == cell, owners.c.bucket >= bucket
    )
    return [*connection.execute(chosen.order_by(*order).offset(inside).limit(count))]


def owners_at(connection: sa.Connection, cell: str, count: int) -> list[float]:
    """Medians of the owners, fastest first. Of more than ``count`` owners, those at as many ranks,
    evenly from the fastest to the slowest, each to 0.1 %: read from the counts of buckets."""
    ladder = ladder_of(connection, cell)
    if ladder.owners <= count:
        return [row.median_s for row in owners_of_cell(connection, cell, 1, count)]
    last = ladder.owners - 1
    ranks = (round(last * step / (count - 1)) for step in range(count))
    return [seconds_of(ladder.place(rank)[0]) for rank in ranks]


def newest_runs(connection: sa.Connection, cell: str, count: int) -> list[sa.Row[Any]]:
    """The valid ones of the newest ``count`` shown results of a cell, oldest first: their
    versions, date and seconds per epoch."""
    names = ("versions", "measured", "steady_epoch_s", "validity")
    chosen = sa.select(*(results.c[name] for name in names)).where(
        results.c.cell == cell, results.c.state == "shown"
    )
    found = connection.execute(chosen.order_by(results.c.number.desc()).limit(count)).all()
    return [row for row in reversed(found) if row.validity == "valid"]


@dataclass(frozen=True)
class Version:
    """What runs with one set of versions say; ``since``: the first of them."""

    versions: str
    since: str
    runs: int
    median_s: float


def by_version(runs: Iterable[Any]) -> list[Version]:
    """The versions of runs, in the order of their first run."""
    seconds: dict[str, list[float]] = {}
    since: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: run.measured):
        seconds.setdefault(run.versions, []).append(run.steady_epoch_s)
        since.setdefault(run.versions, run.measured)
    return [
        Version(versions, since[versions], len(times), statistics.median(times))
        for versions, times in seconds.items()
    ]


def all_cells(
    connection: sa.Connection, equal: Mapping[str, str], after: str | None, count: int
) -> list[sa.Row[Any]]:
    """At most ``count`` cells in which these columns have these values, in the order of their
    names, from the one after ``after``."""
    chosen = sa.select(cells).where(*(cells.c[name] == value for name, value in equal.items()))
    if after is not None:
        chosen = chosen.where(cells.c.cell > after)
    return [*connection.execute(chosen.order_by(cells.c.cell).limit(count))]


def cell_called(connection: sa.Connection, cell: str) -> sa.Row[Any] | None:
    """The row of a cell; None where nothing of it is shown."""
    return connection.execute(sa.select(cells).where(cells.c.cell == cell)).one_or_none()


def cells_with(
    connection: sa.Connection, equal: Mapping[str, str], count: int
) -> list[sa.Row[Any]]:
    """At most ``count`` cells in which these columns have these values, those with most owners
    first: ``chip_name``, alone or with all ``KEY_PARTS``, or ``hardware`` and ``device_kind``."""
    chosen = sa.select(cells).where(*(cells.c[name] == value for name, value in equal.items()))
    order = (cells.c.owners.desc(), cells.c.cell.desc())
    return [*connection.execute(chosen.order_by(*order).limit(count))]


def cells_of_way(
    connection: sa.Connection, way: Any, after: str | None, count: int
) -> list[sa.Row[Any]]:
    """Cells with valid runs that were trained in a way, fastest first, from the one after
    ``after``."""
    chosen = sa.select(cells).where(*_of_way(way), cells.c.median_s.is_not(None))
    place = (cells.c.median_s, cells.c.cell)
    if after is not None:
        last = connection.execute(sa.select(*place).where(cells.c.cell == after)).one_or_none()
        if last is not None and last.median_s is not None:
            chosen = chosen.where(sa.tuple_(*place) > sa.tuple_(*last))
    return [*connection.execute(chosen.order_by(*place).limit(count))]


def unranked_of_way(connection: sa.Connection, way: Any, count: int) -> list[sa.Row[Any]]:
    """Cells of a way without a valid run."""
    chosen = sa.select(cells).where(*_of_way(way), cells.c.median_s.is_(None))
    return [*connection.execute(chosen.order_by(cells.c.cell).limit(count))]


def times_by_hardware(
    connection: sa.Connection, way: Any, hardware: Sequence[str]
) -> dict[str, float]:
    """The medians of a way on these hardwares, by their names."""
    chosen = sa.select(cells.c.hardware, cells.c.median_s).where(
        cells.c.hardware.in_(hardware), *_of_way(way), cells.c.median_s.is_not(None)
    )
    return {row.hardware: row.median_s for row in connection.execute(chosen)}


def _of_way(way: Any) -> list[sa.ColumnElement[bool]]:
    return [cells.c[name] == getattr(way, name) for name in WAY]


def all_ways(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Every way to train of which there are results, on each kind of device, with the sums over
    its cells; that with most owners first."""
    return [*connection.execute(sa.select(ways).order_by(ways.c.owners.desc(), *ways.primary_key))]
