"""How a board's statements are carried out: by indexes, on every page and for a result sent."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import sqlalchemy as sa

from epochmark.board.application import ROUTES, application
from epochmark.board.context import Context
from epochmark.board.intake.rates import Rates
from epochmark.board.intake.receive import delete, receive
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.intake.witness import draw, witness
from epochmark.board.operating.forgetting import forget
from epochmark.board.operating.transfer import import_published
from epochmark.board.protocol import KEY_PARTS, RESULTS_PATH, STANDING_PATH
from epochmark.board.settings import Settings
from epochmark.board.storage.database import Database
from epochmark.board.storage.moderation import ban, decide, result_in_full, unban, waiting
from epochmark.board.storage.results import derived_by_others
from epochmark.board.storage.tables import FILTERS, decisions, results
from epochmark.board.storage.trust.confirmed import confirming
from epochmark.board.storage.trust.witnessed import keep_witness
from epochmark.records.upgrades import encode_record
from epochmark.workloads._proof.witness import Occasion
from tests.board.records import native, torch
from tests.board.running import asked

HOST = "board.example"
KEY = "a" * 64
GROWING = (
    "results", "documents", "owners", "buckets", "cells", "chips", "decisions", "addresses",
    "confirmations", "nonces", "witnesses",
)  # fmt: skip
"""Tables with more rows the more results there are. Of ways to train there are a few hundred, and
what is published comes with the package."""
FEW = ("FROM ways", "FROM published", " AS near ", "DISTINCT results.cell")
"""What may be sorted: these, the bounded part of a list where filters meet, and what a banned key
sent."""
IN_ORDER = re.compile(r"USE TEMP B-TREE FOR ")
MANY_IDS = [f"{number:012x}" for number in range(120)]
"""SQLite looks for a few by their index, and for many among all that have another value asked for,
which it takes for few."""
Noted = list[tuple[str, Any]]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with contextlib.closing(Database(f"sqlite:///{tmp_path}/board")) as made:
        for number in range(3):
            receive(made, encode_record(native(700 + number)), None)
            receive(made, encode_record(torch(710 + number, gpu="NVIDIA RTX 4090")), None)
        receive(made, encode_record(torch(713, gpu="NVIDIA RTX-4090")), None)
        import_published(made)
        with made.writing() as connection:
            at = "2026-11-30T12:00:00Z"
            fields = {"at": at, "action": "hidden", "reason": "made up"}
            rows = [{**fields, "subject": name} for name in MANY_IDS]
            connection.execute(decisions.insert(), rows)
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
    """Steps that read all of a growing table, or of an index of it, or all results in a state, or
    sort what they read. The first rows in the order of a key are no whole table, and the operator
    lists all that are held."""
    whole = re.compile(rf"SCAN (?:{'|'.join(GROWING)})\b")
    in_a_state = "SEARCH results USING INDEX results_by_state (state=?)"
    return [
        (step, statement)
        for step, statement in steps
        if (whole.match(step) and ("WHERE" in statement or "LIMIT" not in statement))
        or (step == in_a_state and "ORDER BY results.number" not in statement)
        or (IN_ORDER.match(step) and not any(few in statement for few in FEW))
    ]


def addresses(database: Database) -> list[str]:
    """Every kind of page and list, with every filter, and on from its first page."""
    with database.reading() as connection:
        chosen = sa.select(results).order_by(results.c.number)
        first, *_, found = connection.execute(chosen).all()
    key = {name: found._mapping[name] for name in KEY_PARTS}
    values = {**dict.fromkeys(FILTERS, "x"), "chip": found.chip, "cell": found.cell}
    filters = [f"{name}={value}" for name, value in values.items()]
    both = [f"{first}&{second}" for first in filters for second in filters if first < second]
    return [
        "/", "/?device=gpu", "/?device=cpu", f"/?after={found.cell}",
        f"/chip/{first.chip}", f"/chip/{first.chip}?before=5", f"/chip/{found.chip}",
        f"/chip/{found.chip}?{urlencode({'name': found.chip_name})}",
        f"/result/{found.id}", f"/badge/{found.id}.svg", f"{RESULTS_PATH}/{found.id}",
        f"/group/{first.cell}", f"/group/{first.cell}?from=2",
        f"/group/{first.cell}?run={first.id}",
        "/compare", f"/compare?id={found.id}", f"/compare?id={found.id}&id={first.id}",
        "/published", "/api/1/published", "/api/1/log", "/api/1/log?before=5",
        f"{STANDING_PATH}?{urlencode({'chip': first.chip_name})}",
        f"{STANDING_PATH}?{urlencode({'chip': found.chip_name, **key})}",
        "/latest", "/latest?before=5", "/log", "/log?before=5", "/how", "/style.css",
        "/api/1/cells.csv", f"/api/1/cells.csv?after={found.cell}",
        f"/api/1/cells.csv?chip={found.chip}", f"/api/1/cells.csv?chip=x&after={found.cell}",
        *(f"{RESULTS_PATH}?{query}" for query in ("", "before=5", *filters, *both)),
        *(f"{RESULTS_PATH}?before=5&{query}" for query in (*filters, *both)),
    ]  # fmt: skip


def test_no_page_or_list_reads_a_table_from_end_to_end(database: Database) -> None:
    app = application(Context(Settings(f"http://{HOST}", b""), database, Rates(1, 1)))
    all_kinds = addresses(database)
    shown = {route.path for route in ROUTES if "GET" in (route.methods or ())}
    for path in shown:
        pattern = re.compile(re.sub(r"\{\w+\}", "[^/]+", path) + r"(?:\?|$)")
        assert any(pattern.match(address) for address in all_kinds), path
    with noting() as statements:
        answers = {address: asked(app, address, HOST).status for address in all_kinds}
        assert asked(app, f"{STANDING_PATH}?chip=EPIC", HOST).status == 404
    assert set(answers.values()) == {200}, answers
    steps = steps_of(database, statements)
    assert {name for name in GROWING if any(name in step.split() for step, _ in steps)} == {
        *GROWING
    } - {"addresses", "nonces"}
    assert scans(steps) == []


def test_nothing_that_a_sender_or_the_operator_does_reads_a_table_from_end_to_end(
    database: Database,
) -> None:
    with noting() as statements:
        for number, key in ((720, KEY), (721, KEY), (722, None)):
            receive(database, encode_record(native(number)), key, "1" * 32)
        sent = native(721).id
        occasion = Occasion(f"http://{HOST}", KEY, sent, draw(database, sent, KEY).nonce)
        with pytest.raises(RefusedError, match="the extra replay is wrong"):
            witness(database, occasion, [1.0])
        with database.writing() as connection:
            decide(connection, "hidden", sent, "to see")
            decide(connection, "shown", sent, "to see")
            found = result_in_full(connection, sent)
            keep_witness(connection, found["number"])
            assert confirming(connection, found["number"]) == []
            assert waiting(connection) == []
        delete(database, sent, KEY)
        with database.writing() as connection:
            assert ban(connection, KEY, "to see") == 1
            assert unban(connection, KEY, "to see") == 1
        forget(database)
        with database.reading() as connection:
            assert derived_by_others(connection, 0, 5) == []
    steps = steps_of(database, statements)
    assert {"addresses", "nonces"} <= {word for step, _ in steps for word in step.split()}
    assert scans(steps) == []


def test_a_scan_would_be_found(database: Database) -> None:
    with noting() as statements, database.reading() as connection:
        for said in (
            "SELECT 1 FROM results WHERE versions = 'x'",
            "SELECT 1 FROM cells",
            "SELECT id FROM results WHERE chip = 'x' ORDER BY hardware",
            f"SELECT id FROM results WHERE id IN {tuple(MANY_IDS)} AND state = 'shown'",
        ):
            connection.exec_driver_sql(said)
    assert len(scans(steps_of(database, statements))) == 4
