"""What a board's database keeps, and what its readers see of it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.applications import Starlette
from starlette.requests import Request

from epochmark.board.context import Context
from epochmark.board.intake.rates import Rates
from epochmark.board.intake.receive import receive
from epochmark.board.pages import chip
from epochmark.board.settings import Settings
from epochmark.board.storage import spread
from epochmark.board.storage.database import Database
from epochmark.board.storage.lists import shown_results
from epochmark.board.storage.results import document_of, erase, result_by_id
from epochmark.board.storage.tables import FILTERS, documents
from epochmark.records.upgrades import encode_record
from tests.board.records import native


def test_a_reader_sees_one_state_whatever_is_deleted_meanwhile(empty_database: str) -> None:
    record = native(500)
    with contextlib.closing(Database(empty_database)) as database:
        receive(database, encode_record(record), None)
        with database.reading() as reader:
            found = result_by_id(reader, record.id)
            assert found is not None
            with database.writing() as writer:
                erase(writer, found)
            assert document_of(reader, found.number) == encode_record(record)
        with database.reading() as reader:
            later = result_by_id(reader, record.id)
            assert later is not None
            assert later.state == "deleted"
            assert reader.execute(sa.select(documents)).all() == []


@pytest.mark.parametrize("name", [*FILTERS, None])
def test_a_list_reads_an_index_in_order_and_no_document(tmp_path: Path, name: str | None) -> None:
    statements: list[tuple[str, Any]] = []

    def note(
        connection: sa.Connection, cursor: object, statement: str, values: Any, *more: object
    ) -> None:
        statements.append((statement, values))

    with (
        contextlib.closing(Database(f"sqlite:///{tmp_path}/board")) as database,
        database.reading() as connection,
    ):
        sa.event.listen(connection, "before_cursor_execute", note)
        shown_results(connection, {} if name is None else {name: "x"}, 7, 5)
        statement, values = statements[-1]
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
    ((*_, detail),) = plan
    assert f"SEARCH results USING INDEX results_by_{name or 'state'} (" in detail
    assert "document" not in statement


def test_a_drawing_of_the_newest_runs_names_the_number_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "NEWEST", 2)
    with contextlib.closing(Database(f"sqlite:///{tmp_path}/board")) as database:
        for number in range(4):
            receive(database, encode_record(native(510 + number)), None)
        app = Starlette()
        app.state.board = Context(Settings("http://127.0.0.1", b""), database, Rates(1, 1))
        request = Request(
            {
                "type": "http", "method": "GET", "path": "/chip/amd-epyc", "headers": [],
                "query_string": b"", "path_params": {"chip": "amd-epyc"}, "app": app,
            }
        )  # fmt: skip
        content = bytes(chip.chip(request).body).decode()
    assert content.count("<circle") == 2
    assert "4 of 4 runs valid; each dot is a valid one (the newest 2 are drawn)" in content
