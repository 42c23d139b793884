"""What is kept of cells, against what their results say when all of them are read."""

from __future__ import annotations

import contextlib
import math
import random
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext

from epochmark.analysis.timing.intervals import interval_rank
from epochmark.board.derived.figures import Figures, figures_of
from epochmark.board.storage import database as storage
from epochmark.board.storage.cells import owners_at, owners_of_cell, standing
from epochmark.board.storage.database import Database
from epochmark.board.storage.keeping import BUCKETS, KEY, bucket_of, count_again
from epochmark.board.storage.moderation import ban
from epochmark.board.storage.results import (
    Arrival,
    State,
    add_result,
    erase,
    rederive,
    result_by_id,
    set_state,
)
from epochmark.board.storage.tables import (
    CHIP,
    WAY,
    bans,
    buckets,
    cells,
    chips,
    decisions,
    documents,
    owners,
    results,
    ways,
)
from epochmark.records.record import Record
from tests.board.conftest import NewDatabase
from tests.board.records import native

KEYS = [None, *(digit * 64 for digit in "01234567")]
TIMES = [9.5, 9.5, 9.6, 10.0, 10.00001, 10.1, 11.0, 12.5, 20.0, 80.0]
STATES: list[State] = ["shown", "held", "hidden"]
KEPT = (cells, owners, buckets, ways, chips)


def made_up(choice: random.Random, like: Figures) -> Figures:
    """Figures of a few cells and ways, many of them equal or nearly so."""
    cell = choice.randrange(5)
    seconds = choice.choice(TIMES) * choice.choice([1.0, 1.0, choice.uniform(0.97, 1.03)])
    return replace(
        like,
        cell=f"{cell:016x}",
        chip_name=f"{like.chip_name} {cell // 2}",
        hardware=f"hardware {cell // 2}",
        engine_family=f"family {cell % 2}",
        validity=choice.choice(["valid", "valid", "valid", "disturbed", "invalid"]),
        steady_epoch_s=seconds,
    )


class Operations:
    """Random decisions about random results, as senders and the operator make them."""

    def __init__(self, seed: int) -> None:
        self.choice = random.Random(seed)
        self.record: Record = native(1)
        self.like = figures_of(self.record)
        self.ids: list[str] = []

    def do(self, connection: sa.Connection) -> None:
        kinds = [self.add] * 6 + [self.move] * 3 + [self.erase, self.derive]
        if self.choice.random() < 0.02:
            self.ban(connection)
        self.choice.choice(kinds)(connection)

    def add(self, connection: sa.Connection) -> None:
        self.ids.append(f"{len(self.ids):012x}")
        record = msgspec.structs.replace(
            self.record, id=self.ids[-1], digest=f"{len(self.ids):064x}"
        )
        arrival = Arrival(self.choice.choice(KEYS), self.choice.choice(STATES), None)
        add_result(connection, record, made_up(self.choice, self.like), b"{}", arrival)

    def move(self, connection: sa.Connection) -> None:
        if found := self.any(connection):
            set_state(connection, found, self.choice.choice(STATES), "because")

    def erase(self, connection: sa.Connection) -> None:
        if found := self.any(connection):
            erase(connection, found)

    def derive(self, connection: sa.Connection) -> None:
        if found := self.any(connection):
            rederive(connection, found, made_up(self.choice, self.like))

    def ban(self, connection: sa.Connection) -> None:
        ban(connection, self.choice.choice([key for key in KEYS if key]), "because")

    def any(self, connection: sa.Connection) -> sa.Row[Any] | None:
        """Some result that is not deleted."""
        found = result_by_id(connection, self.choice.choice(self.ids)) if self.ids else None
        return None if found is None or found.state == "deleted" else found


def shown(connection: sa.Connection) -> list[sa.Row[Any]]:
    return [*connection.execute(sa.select(results).where(results.c.state == "shown"))]


def times_of(rows: list[sa.Row[Any]]) -> dict[str, list[float]]:
    """Seconds of the valid runs of each owner."""
    times: dict[str, list[float]] = {}
    for row in rows:
        if row.validity == "valid":
            times.setdefault(row.key or row.id, []).append(row.steady_epoch_s)
    return times


def by_force(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    """The rows of cells, from all results."""
    of_cell: dict[str, list[sa.Row[Any]]] = {}
    for row in shown(connection):
        of_cell.setdefault(row.cell, []).append(row)
    found = {}
    for cell, rows in of_cell.items():
        times = times_of(rows)
        medians = sorted(map(statistics.median, times.values()))
        figures = dict.fromkeys(("median_s", "low_s", "high_s", "best_s"))
        if medians:
            rank = interval_rank(len(medians))
            figures = {
                "median_s": statistics.median(medians),
                "low_s": medians[rank - 1],
                "high_s": medians[-rank],
                "best_s": min(min(seconds) for seconds in times.values()),
            }
        counts = {
            "runs": len(rows),
            "valid": sum(map(len, times.values())),
            "owners": len(times),
        }
        key = {name: rows[0]._mapping[name] for name in KEY}
        found[cell] = {"cell": cell, **key, **counts, **figures}
    return found


def kept(connection: sa.Connection) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the tables that are kept."""
    return {
        table.name: sorted(tuple(row) for row in connection.execute(sa.select(table)))
        for table in KEPT
    }


def compare(connection: sa.Connection) -> None:
    """Assert that what is kept is what all results say."""
    expected = by_force(connection)
    there = {row.cell: dict(row._mapping) for row in connection.execute(sa.select(cells))}
    assert there == expected
    for table, columns in ((ways, WAY), (chips, CHIP)):
        sums: dict[tuple[Any, ...], Counter[str]] = {}
        for cell in expected.values():
            counts = {name: cell[name] for name in ("runs", "valid", "owners")}
            sums.setdefault(tuple(cell[name] for name in columns), Counter()).update(counts)
        found = {
            tuple(row._mapping[name] for name in columns): Counter(
                runs=row.runs, valid=row.valid, owners=row.owners
            )
            for row in connection.execute(sa.select(table))
        }
        assert found == sums
    rows = shown(connection)
    times = {cell: times_of([row for row in rows if row.cell == cell]) for cell in expected}
    for result in rows[:: 1 + len(rows) // 40]:
        owner = result.key or result.id
        others = [*map(statistics.median, {**times[result.cell], owner: [0.0]}.values())]
        slower = sum(other > result.steady_epoch_s for other in others)
        place = standing(connection, result)
        assert (place.slower, place.others) == (slower, len(others) - 1)
    for name, of_owner in times.items():
        in_order = sorted(
            (statistics.median(seconds), owner) for owner, seconds in of_owner.items()
        )
        for first in range(1, len(in_order) + 2):
            owners_there = owners_of_cell(connection, name, first, 3)
            assert [(row.median_s, row.owner) for row in owners_there] == in_order[first - 1 :][:3]
        medians = [seconds for seconds, _ in in_order]
        assert owners_at(connection, name, 101) == medians
        if len(medians) > 2:
            near = owners_at(connection, name, 2)
            assert near == pytest.approx([medians[0], medians[-1]], rel=0.001)


@pytest.mark.parametrize("seed", range(2))
def test_what_is_kept_is_what_all_results_say(empty_database: str, seed: int) -> None:
    operations = Operations(seed)
    with contextlib.closing(Database(empty_database)) as database:
        for _ in range(6):
            with database.writing() as connection:
                for _ in range(25):
                    operations.do(connection)
                compare(connection)
        with database.writing() as connection:
            step_by_step = kept(connection)
            assert all(step_by_step.values())
            count_again(connection)
            assert kept(connection) == step_by_step
            for result_id in operations.ids:
                found = result_by_id(connection, result_id)
                if found is not None and found.state != "deleted":
                    erase(connection, found)
            assert not any(kept(connection).values())


FIRST = (results, documents, bans, decisions)
"""What the first tables held besides cells."""


def rows_of(connection: sa.Connection, tables: Iterable[sa.Table]) -> dict[str, list[Any]]:
    return {
        table.name: [dict(row._mapping) for row in connection.execute(sa.select(table))]
        for table in tables
    }


@pytest.mark.parametrize("version", ["0001", "0002", "0003"])
def test_a_board_of_older_tables_keeps_its_results_and_gets_the_others(
    new_database: NewDatabase, empty_database: str, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    operations = Operations(11)
    with contextlib.closing(Database(empty_database)) as newest:
        with newest.writing() as connection:
            for _ in range(150):
                operations.do(connection)
        with newest.reading() as connection:
            rows, step_by_step = rows_of(connection, FIRST), rows_of(connection, KEPT)
    assert all(rows.values())
    older = new_database(empty_database.partition(":")[0].partition("+")[0])
    with older_tables(older, version) as connection:
        for table in FIRST:
            connection.execute(table.insert(), rows[table.name])
    with monkeypatch.context() as interrupted:
        interrupted.setattr(storage, "count_again", ended)
        with pytest.raises(KeyboardInterrupt):
            Database(older)
    assert version_of(older) == version
    with contextlib.closing(Database(older)) as upgraded, upgraded.reading() as connection:
        assert rows_of(connection, FIRST) == rows
        found = rows_of(connection, KEPT)
        compare(connection)
    by_key = {name: sorted(each, key=repr) for name, each in step_by_step.items()}
    assert {name: sorted(each, key=repr) for name, each in found.items()} == by_key


@contextlib.contextmanager
def older_tables(url: str, version: str) -> Iterator[sa.Connection]:
    """A database as an older version of a board made it."""
    config = Config()
    config.set_main_option("script_location", "epochmark:board/storage/migrations")
    config.set_main_option("path_separator", "os")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, version)
        yield connection
    engine.dispose()


def version_of(url: str) -> str | None:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        version = MigrationContext.configure(connection).get_current_revision()
    engine.dispose()
    return version


def ended(connection: sa.Connection) -> None:
    """As if Ctrl-C had come after the last migration."""
    raise KeyboardInterrupt


def test_buckets_are_narrow_and_in_the_order_of_times() -> None:
    choice = random.Random(3)
    times = sorted(10 ** choice.uniform(-9, 9) for _ in range(20_000))
    times = sorted([*times, *(math.nextafter(time, 0) for time in times[::7]), 0.5, 1.0, 2.0])
    places = [bucket_of(time) for time in times]
    assert places == sorted(places)
    first: dict[int, float] = {}
    for place, time in zip(places, times, strict=True):
        assert time / first.setdefault(place, time) <= 1 + 1 / BUCKETS
