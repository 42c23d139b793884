"""How a board's statements are carried out: by indexes, on every page and for a result sent."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from epochmark.board.application import ROUTES, application
from epochmark.board.context import Context
from epochmark.board.intake.rates import Rates
from epochmark.board.intake.receive import delete, receive
from epochmark.board.protocol import RESULTS_PATH
from epochmark.board.settings import Settings
from epochmark.board.storage.database import Database
from epochmark.board.storage.moderation import decide
from epochmark.board.storage.results import derived_by_others
from epochmark.board.storage.tables import FILTERS
from epochmark.records.upgrades import encode_record
from tests.board.records import native, torch
from tests.board.running import asked

HOST = "board.example"
KEY = "a" * 64
GROWING = ("results", "documents", "owners", "buckets", "cells", "decisions")
"""Tables with more rows the more results there are. Of ways to train there are a few hundred."""
FEW = ("FROM ways", " AS near ")
"""What may be sorted: ways to train, and the bounded part of a list where filters meet."""
IN_ORDER = re.compile(r"USE TEMP B-TREE FOR (?:ORDER|GROUP) BY|USE TEMP B-TREE FOR DISTINCT")
Noted = list[tuple[str, Any]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(Database(f"sqlite:///{tmp_path}/board")) as made:
        for number in range(3):
            receive(made, encode_record(native(700 + number)), None)
            receive(made, encode_record(torch(710 + number, gpu="NVIDIA RTX 4090")), None)
        yield made


@contextlib.contextmanager
def noting() -> Iterator[Noted]:
    """Every statement that reaches a database in the block, with its values."""
    statements: Noted = []

    def note(
        connection: sa.Connection, cursor: object, statement: str, values: Any, *more: object
    ) -> None:
        statements.append((statement, values))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


def steps_of(database: Database, statements: Noted) -> list[tuple[str, str]]:
    """Each step of SQLite's plan for each of the statements, with the statement."""
    steps = []
    with database.reading() as connection:
        for statement, values in {str(each): each for each in statements}.values():
            if statement.startswith(("SELECT", "UPDATE", "DELETE")):
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
                steps += [(str(row[-1]), statement) for row in plan]
    return steps


def scans(steps: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Steps that read all of a growing table, or of an index of it, or sort what they read. The
    first rows of a table in the order of its key are no whole table."""
    whole = re.compile(rf"SCAN (?:{'|'.join(GROWING)})\b")
    return [
        (step, statement)
        for step, statement in steps
        if (whole.match(step) and ("WHERE" in statement or "LIMIT" not in statement))
        or (IN_ORDER.match(step) and not any(few in statement for few in FEW))
    ]


def addresses(database: Database) -> list[str]:
    """Every kind of page and list, with every filter, and on from its first page."""
    with database.reading() as connection:
        found = connection.execute(sa.text("SELECT id, chip, cell FROM results")).all()[-1]
    values = {**dict.fromkeys(FILTERS, "x"), "chip": found.chip, "cell": found.cell}
    filters = [f"{name}={value}" for name, value in values.items()]
    both = [f"{first}&{second}" for first in filters for second in filters if first < second]
    return [
        "/", "/?device=gpu", "/?device=cpu", f"/?after={found.cell}",
        f"/chip/{found.chip}", f"/chip/{found.chip}?before=5",
        f"/result/{found.id}", f"/badge/{found.id}.svg", f"{RESULTS_PATH}/{found.id}",
        "/latest", "/latest?before=5", "/log", "/log?before=5", "/how", "/style.css",
        "/api/1/cells.csv", f"/api/1/cells.csv?after={found.cell}",
        f"/api/1/cells.csv?chip={found.chip}", f"/api/1/cells.csv?chip=x&after={found.cell}",
        *(f"{RESULTS_PATH}?{query}" for query in ("", "before=5", *filters, *both)),
        *(f"{RESULTS_PATH}?before=5&{query}" for query in (*filters, *both)),
    ]  # fmt: skip


def test_no_page_or_list_reads_a_table_from_end_to_end(database: Database) -> None:
    app = application(Context(Settings(f"http://{HOST}", b""), database, Rates(1, 1)))
    all_kinds = addresses(database)
    shown = {route.path for route in ROUTES}
    for path in shown:
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + r"(?:\?|$)")
        assert any(pattern.match(address) for address in all_kinds), path
    with noting() as statements:
        answers = {address: asked(app, address, HOST).status for address in all_kinds}
    assert set(answers.values()) == {200}, answers
    steps = steps_of(database, statements)
    assert {name for name in GROWING if any(name in step.split() for step, _ in steps)} == {
        *GROWING
    }
    assert scans(steps) == []


def test_nothing_that_a_sender_or_the_operator_does_reads_a_table_from_end_to_end(
    database: Database,
) -> None:
    with noting() as statements:
        for number, key in ((720, KEY), (721, KEY), (722, None)):
            receive(database, encode_record(native(number)), key)
        sent = native(721).id
        with database.writing() as connection:
            decide(connection, "hidden", sent, "to see")
            decide(connection, "shown", sent, "to see")
        delete(database, sent, KEY)
        with database.reading() as connection:
            assert derived_by_others(connection, 0, 5) == []
    assert scans(steps_of(database, statements)) == []


def test_a_scan_would_be_found(database: Database) -> None:
    with noting() as statements, database.reading() as connection:
        for said in ("SELECT 1 FROM results WHERE versions = 'x'", "SELECT 1 FROM cells"):
            connection.exec_driver_sql(said)
        connection.exec_driver_sql("SELECT id FROM results WHERE chip = 'x' ORDER BY hardware")
    assert len(scans(steps_of(database, statements))) == 3
