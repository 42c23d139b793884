"""Backups as docs/board.md has them, of a board that runs."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from epochmark.board.protocol import RESULTS_PATH
from epochmark.records.bundle import encode_bundle
from tests.board.clusters import Cluster
from tests.board.conftest import NewDatabase
from tests.board.records import native
from tests.board.running import Board, operate


def backed_up(url: str, copy: str, request: pytest.FixtureRequest) -> None:
    """What ``sqlite3 .backup`` and ``pg_dump`` do, the latter read into an empty database."""
    source, target = sa.make_url(url), sa.make_url(copy)
    if source.drivername == "sqlite":
        with (
            contextlib.closing(sqlite3.connect(str(source.database))) as original,
            contextlib.closing(sqlite3.connect(str(target.database))) as another,
        ):
            original.backup(another)
        return
    cluster: Cluster = request.getfixturevalue("cluster")
    folder = str(source.query["host"])
    where = ("-h", folder, "-U", "postgres")
    cluster.run("pg_dump", *where, "-f", f"{folder}/backup.sql", str(source.database))
    cluster.run("psql", *where, "-q", "-f", f"{folder}/backup.sql", str(target.database))


def test_a_backup_of_a_running_board_is_a_board(
    start: Callable[..., Board],
    empty_database: str,
    new_database: NewDatabase,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    bundle = tmp_path / "first.json"
    bundle.write_bytes(encode_bundle([native(0)]))
    assert operate(empty_database, "import", str(bundle)).exit_code == 0
    running = start(empty_database)
    sender = running.sender("mine")
    sent = [running.send(native(number), sender).json["id"] for number in (1, 2)]
    copy = new_database("sqlite" if empty_database.startswith("sqlite") else "postgresql")
    backed_up(empty_database, copy, request)
    assert running.delete(sent[0], sender).status == 200
    cells = running.get("/api/1/cells.csv").text
    assert running.stop() == 0
    port = running.address.rpartition(":")[2]
    restored = start(copy, port=int(port))
    assert {restored.get(f"{RESULTS_PATH}/{result_id}").status for result_id in sent} == {200}
    assert restored.send(native(3), sender).json["state"] == "shown"
    for result_id in (sent[0], restored.send(native(3), sender).json["id"]):
        assert restored.delete(result_id, sender).status == 200
    assert restored.get("/api/1/cells.csv").text == cells
