"""What an operator does with a board's files and tables."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from epochmark.board.derived.figures import Figures
from epochmark.board.intake.receive import delete, receive, recomputed
from epochmark.board.operating import again
from epochmark.board.protocol import KEY_HEADER
from epochmark.board.storage import database as storage
from epochmark.board.storage.database import Database
from epochmark.board.storage.moderation import ban
from epochmark.board.storage.tables import cells, decisions, documents, metadata, results
from epochmark.records.bundle import encode_bundle
from epochmark.records.digest import sealed
from epochmark.records.record import Record
from epochmark.records.upgrades import encode_record
from tests.board.records import native
from tests.board.running import Board, operate


def bundle_of(folder: Path, *records: Record) -> str:
    file = folder / "bundle.json"
    file.write_bytes(encode_bundle(records))
    return str(file)


def test_the_migrations_make_the_tables_of_the_code(empty_database: str) -> None:
    database = Database(empty_database)
    with database.reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    database.close()
    Database(empty_database).close()
    columns = {column.name for column in results.c}
    assert {*Figures.__dataclass_fields__} <= columns


def test_a_dump_can_be_imported_by_another_board(
    empty_database: str, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    records = [native(300 + number) for number in range(3)]
    bad = sealed(msgspec.structs.replace(records[0], id="b" * 12, label="x", findings=[]))
    bad = msgspec.structs.replace(bad, label="edited")
    done = operate(empty_database, "import", bundle_of(tmp_path, *records, bad))
    assert done.exit_code == 1
    assert "3 results imported, 0 known already, 1 refused" in done.stdout
    assert "the digest does not match" in done.stderr
    file = tmp_path / "dump.jsonl.gz"
    assert "3 results written" in operate(empty_database, "dump", str(file)).stdout
    lines = gzip.decompress(file.read_bytes()).splitlines()
    assert {json.loads(line)["id"] for line in lines} == {record.id for record in records}
    other = new_database("sqlite")
    for expected in ({"imported": 3, "known": 0}, {"imported": 0, "known": 3}):
        done = operate(other, "import", str(file), "--json")
        assert json.loads(done.stdout) == {**expected, "refused": 0}


def test_figures_of_another_version_are_derived_again(empty_database: str, tmp_path: Path) -> None:
    operate(empty_database, "import", bundle_of(tmp_path, native(310), native(311)))
    engine = sa.create_engine(empty_database)
    with engine.begin() as connection:
        old = {"derived_by": "0.0.1", "hardware": "an older name", "cell": "0" * 16}
        connection.execute(results.update().values(**old))
    done = operate(empty_database, "rederive", "--json")
    assert json.loads(done.stdout) == {"derived": 2, "hidden": []}
    with engine.connect() as connection:
        names = connection.execute(sa.select(results.c.hardware).distinct()).scalars().all()
    engine.dispose()
    assert names == ["AMD EPYC, 2 usable cores, virtual machine"]
    again = operate(empty_database, "rederive", "--json")
    assert json.loads(again.stdout) == {"derived": 0, "hidden": []}


def test_what_does_not_recompute_by_newer_rules_is_hidden_with_the_reason_in_the_log(
    empty_database: str, tmp_path: Path
) -> None:
    record = native(312)
    operate(empty_database, "import", bundle_of(tmp_path, record))
    engine = sa.create_engine(empty_database)
    with engine.begin() as connection:
        edited = zlib.compress(encode_record(record).replace(b'"AMD EPYC"', b'"AMD other"'))
        connection.execute(results.update().values(derived_by="0.0.1"))
        connection.execute(documents.update().values(document=edited))
    done = operate(empty_database, "rederive", "--json")
    assert json.loads(done.stdout) == {"derived": 1, "hidden": [record.id]}
    with engine.connect() as connection:
        assert connection.execute(sa.select(results.c.state)).scalars().all() == ["hidden"]
        reasons = connection.execute(sa.select(decisions.c.reason)).scalars().all()
        assert connection.execute(sa.select(cells)).all() == []
    engine.dispose()
    (reason,) = reasons
    assert "the digest does not match" in reason


def test_what_is_deleted_while_it_is_derived_again_stays_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "WAIT_S", 1)
    records = [native(340), native(341)]
    with contextlib.closing(Database(f"sqlite:///{tmp_path}/board")) as database:
        for record in records:
            receive(database, encode_record(record), None)
        with database.writing() as connection:
            connection.execute(results.update().values(derived_by="0.0.1", key="a" * 64))

        def recomputed_meanwhile(document: bytes) -> Record:
            delete(database, records[1].id, "a" * 64)  # a writer, who must not have to wait
            return recomputed(document)

        monkeypatch.setattr(again, "recomputed", recomputed_meanwhile)
        assert [*again.derive_again(database)] == [(records[0].id, None)]
        with database.reading() as connection:
            chosen = sa.select(results.c.state, results.c.hardware).order_by(results.c.number)
            states = [tuple(row) for row in connection.execute(chosen)]
    assert states == [("shown", "AMD EPYC, 2 usable cores, virtual machine"), ("deleted", None)]


def test_what_waits_for_a_decision_is_listed(board: Board) -> None:
    receipt = board.send(native(320, cpu="Chip M"), board.sender()).json
    key = board.sender().headers("POST", "")[KEY_HEADER]
    said = operate(board.database, "held").stdout
    assert f"{receipt['id']}  Chip M, 2 usable cores" in said
    assert f"  sent by {key}" in said
    listed = json.loads(operate(board.database, "held", "--json").stdout)
    (row,) = (row for row in listed if row["id"] == receipt["id"])
    assert row["reason"] == "it is the first result of Chip M"
    assert row["key"] == key


def test_a_ban_hides_all_results_at_once(empty_database: str) -> None:
    with contextlib.closing(Database(empty_database)) as database:
        receive(database, encode_record(native(329)), None)
        for number in range(3):
            receive(database, encode_record(native(330 + number)), "a" * 64)
        statements: list[str] = []

        def note(connection: sa.Connection, cursor: object, statement: str, *more: object) -> None:
            statements.append(statement)

        with database.writing() as connection:
            sa.event.listen(connection, "before_cursor_execute", note)
            assert ban(connection, "a" * 64, "made up") == 3
            assert connection.execute(sa.select(cells.c.runs)).scalars().all() == [1]
    assert sum(statement.startswith("UPDATE results") for statement in statements) == 1
    assert sum(statement.startswith("UPDATE cells") for statement in statements) == 1


def test_wrong_databases_and_addresses_are_errors_of_use(tmp_path: Path) -> None:
    for url in ("mysql://a", "nonsense", "postgresql://a/b"):
        done = operate(url, "held")
        assert (done.exit_code, "--database takes sqlite:///FILE" in done.stderr) == (2, True)
    missing = operate(f"sqlite:///{tmp_path}/no/such/folder/x", "held")
    assert (missing.exit_code, "cannot be opened" in missing.stderr) == (1, True)
    everywhere = operate(f"sqlite:///{tmp_path}/x", "serve", "--host", "0.0.0.0", "--port", "0")
    assert (everywhere.exit_code, "needs --origin" in everywhere.stderr) == (2, True)


def test_a_database_that_cannot_be_used_is_an_error_and_not_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, and longer than a header of one " * 9)
    newer = f"sqlite:///{tmp_path}/newer"
    Database(newer).close()
    engine = sa.create_engine(newer)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for url, why in (
        (f"sqlite:///{tmp_path}/text", "file is not a database"),
        (newer, "newer version of epochmark: upgrade"),
    ):
        done = operate(url, "held")
        assert (done.exit_code, why in done.stderr) == (1, True), done.stderr


def test_a_user_of_postgresql_who_may_not_make_tables_is_told_so(
    new_database: Callable[[str], str],
) -> None:
    url = new_database("postgresql")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for command in ("CREATE ROLE stranger LOGIN", "REVOKE ALL ON SCHEMA public FROM PUBLIC"):
            connection.execute(sa.text(command))
    engine.dispose()
    done = operate(url.replace("//postgres@", "//stranger@"), "held")
    assert done.exit_code == 1
    assert "cannot be opened" in done.stderr
    assert "its user may make tables" in done.stderr
