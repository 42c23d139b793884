"""What a board's database keeps, and what its readers see of it."""

from __future__ import annotations

import contextlib
import csv
import io
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import sqlalchemy as sa
from starlette.types import ASGIApp

from epochmark.board.application import application
from epochmark.board.context import Context
from epochmark.board.intake.rates import Rates
from epochmark.board.intake.receive import receive
from epochmark.board.pages import chip, group, spread, start
from epochmark.board.settings import Settings
from epochmark.board.storage import lists
from epochmark.board.storage.database import Database
from epochmark.board.storage.lists import shown_results
from epochmark.board.storage.results import document_of, erase, result_by_id
from epochmark.board.storage.tables import FILTERS, documents
from epochmark.records.record import Record
from epochmark.records.upgrades import encode_record
from epochmark.report.figures import bare_seconds
from tests.board.records import native, torch
from tests.board.running import asked


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


HOST = "board.example"


@contextlib.contextmanager
def board_of(folder: Path, *records: Record) -> Iterator[ASGIApp]:
    """A board in this process that has these results."""
    with contextlib.closing(Database(f"sqlite:///{folder}/board")) as database:
        for record in records:
            receive(database, encode_record(record), None)
        yield application(Context(Settings(f"http://{HOST}", b""), database, Rates(1, 1)))


def test_of_many_runs_only_the_newest_are_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spread, "MOST_DOTS", 2)
    records = [native(510 + number, step_s=0.02 + number / 1000) for number in range(4)]
    with board_of(tmp_path, *records) as app:
        page = asked(app, "/chip/amd-epyc", HOST).text
    assert page.count("<circle") == 2
    assert "4 of 4 runs valid" in page
    assert "each dot is a valid one of the newest 2," in page
    assert f"<span>{bare_seconds(records[0].headline.steady_epoch_s)} s</span>" in page
    assert f"<span>{bare_seconds(records[-1].headline.steady_epoch_s)} s</span>" in page


def test_a_chip_of_many_kinds_shows_those_with_most_owners(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chip, "MOST_CELLS", 1)
    with board_of(tmp_path, torch(520), native(521), native(522)) as app:
        page = asked(app, "/chip/amd-epyc", HOST).text
        (link,) = re.findall(r'href="(/api/1/cells.csv[^"]*)"[^>]*>all as CSV', page)
        rows = [*csv.DictReader(io.StringIO(asked(app, link, HOST).text))]
        other = asked(app, "/api/1/cells.csv?chip=x", HOST).text
    assert page.count('<section class="card">') == 1
    assert "the median of 2 owners" in page
    assert sorted(row["runs"] for row in rows) == ["1", "2"]
    assert other.count("\n") == 1


def test_owners_of_a_group_go_on_with_the_next_rank(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(group, "OWNERS", 2)
    records = [native(540 + number, step_s=0.02 + number / 1000) for number in range(5)]
    with board_of(tmp_path, *records) as app:
        (address,) = set(re.findall(r'href="(/group/[^"?]*)"', asked(app, "/", HOST).text))
        address = first = f"{address}?run={records[0].id}"
        owners, bars = [], []
        while address:
            page = asked(app, address, HOST).text
            owners += re.findall(r"<b>(\d)</b> <a [^>]*>imported ([0-9a-f]{6})", page)
            bars += re.findall(r'<rect width="([0-9.]+)"', page)
            said = re.findall(r'rel="next" href="([^"]*)"', page)
            address = urljoin(first, unescape(said[0])) if said else ""
        assert asked(app, f"{first}&from=6", HOST).status == 200
    assert owners == [(str(rank), record.id[:6]) for rank, record in enumerate(records, 1)]
    assert bars[-1] == "100.00"
    assert [*map(float, bars)] == sorted(map(float, bars))


def test_lists_go_on_where_the_last_page_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(start, "MOST_LINES", 2)
    monkeypatch.setattr(lists, "LOOKED_THROUGH", 2)
    records = [
        native(530 + number, cpu=f"Chip {number % 5}", step_s=0.02 + number % 5 / 100)
        for number in range(7)
    ]
    seen: dict[str, list[str]] = {}
    with board_of(tmp_path, *records) as app:
        for address, pattern, following in (
            ("/", r'<a href="/group/[^"]*">(Chip \d)', r'rel="next" href="([^"]*)"'),
            ("/api/1/cells.csv?limit=2", "chip-[0-4](?=,Chip)", ""),
            (
                "/api/1/results?engine=native&chip=chip-1&limit=1",
                r'"id": ?"([^"]*)"',
                r'"next": ?"([^"]*)"',
            ),
        ):
            next_page: str | None = address
            while next_page is not None:
                answer = asked(app, next_page, HOST)
                seen.setdefault(address, []).extend(re.findall(pattern, answer.text))
                said = re.findall(following, answer.text) if following else []
                said += re.findall("<(.*)>", answer.headers.get("link", ""))
                next_page = urljoin(address, unescape(said[0])) if said else None
    assert seen["/"] == [f"Chip {number}" for number in range(5)]
    assert sorted(seen["/api/1/cells.csv?limit=2"]) == [f"chip-{number}" for number in range(5)]
    assert seen["/api/1/results?engine=native&chip=chip-1&limit=1"] == [
        records[6].id,
        records[1].id,
    ]
