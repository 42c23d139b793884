"""The nightly dump: in little memory, whole or not at all, read by another board."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import random
import signal
import subprocess
import time
import tracemalloc
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from epochmark.board.derived.figures import figures_of
from epochmark.board.intake import receive as intake
from epochmark.board.operating import transfer
from epochmark.board.storage.database import Database
from epochmark.board.storage.results import (
    DOCUMENTS_AT_A_TIME,
    Arrival,
    add_result,
    erase,
    result_by_id,
)
from epochmark.records.json_text import to_json
from epochmark.records.record import Record
from epochmark.records.upgrades import encode_record
from tests.board.conftest import NewDatabase
from tests.board.records import native
from tests.board.running import TIMEOUT_S, operate
from tests.pipeline.program import COMMAND

MANY = 3 * DOCUMENTS_AT_A_TIME + 1


def fill(url: str, count: int, document: bytes) -> None:
    """A board with as many results, whose documents were never checked."""
    record = native(1)
    figures = figures_of(record)
    with contextlib.closing(Database(url)) as database, database.writing() as connection:
        for number in range(count):
            named = msgspec.structs.replace(record, id=f"{number:012x}", digest=f"{number:064x}")
            add_result(connection, named, figures, document, Arrival(None, "shown", None))


def large_document() -> bytes:
    """200 kB that cannot be packed much."""
    letters = random.Random(1).randbytes(100_000).hex()
    return json.dumps({"filler": letters}).encode()


def test_a_dump_holds_a_few_documents_in_memory(empty_database: str, tmp_path: Path) -> None:
    document, file = large_document(), tmp_path / "all.jsonl.gz"
    fill(empty_database, MANY, document)
    counts: list[int] = []
    with contextlib.closing(Database(empty_database)) as database:
        tracemalloc.start()
        try:
            assert transfer.dump(database, file, counts.append) == MANY
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert counts == [*range(1, MANY + 1)]
    assert peak < (DOCUMENTS_AT_A_TIME + 5) * len(document), "of 31 documents"
    with gzip.open(file) as lines:
        assert sum(line == document + b"\n" for line in lines) == MANY


def test_a_document_of_many_lines_is_a_line_and_what_is_not_shown_is_left_out(
    empty_database: str, new_database: NewDatabase, tmp_path: Path
) -> None:
    records = [native(800 + number) for number in range(4)]
    file = tmp_path / "all.jsonl.gz"
    with contextlib.closing(Database(empty_database)) as database:
        for record in records:
            spread = json.dumps(json.loads(encode_record(record)), indent=1)
            intake.receive(database, spread.replace("\n", "\r\n").encode(), None)
        operate(empty_database, "hide", records[0].id, "--reason", "to see")
        with database.writing() as connection:
            found = result_by_id(connection, records[1].id)
            assert found is not None
            erase(connection, found)
    assert "2 results written" in operate(empty_database, "dump", str(file)).stdout
    assert file.stat().st_mode & 0o777 == 0o644
    lines = gzip.decompress(file.read_bytes()).splitlines()
    assert [json.loads(line)["id"] for line in lines] == [records[3].id, records[2].id]
    other = new_database("sqlite")
    assert "2 results imported" in operate(other, "import", str(file)).stdout


def test_an_import_that_was_interrupted_does_not_recompute_what_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, file = f"sqlite:///{tmp_path}/board", tmp_path / "all.jsonl.gz"
    records = [native(810 + number) for number in range(4)]
    with gzip.open(file, "wb") as stream:
        stream.writelines(to_json(record) + b"\n" for record in records)
    recomputed: list[str] = []
    really = intake.recomputed

    def noted(document: bytes) -> Record:
        recomputed.append(json.loads(document)["id"])
        return really(document)

    monkeypatch.setattr(intake, "recomputed", noted)
    with contextlib.closing(Database(url)) as database:
        assert [*islice(transfer.import_file(database, file), 2)] == [("imported", [])] * 2
        outcomes = [what for what, _ in transfer.import_file(database, file)]
    assert outcomes == ["known", "known", "imported", "imported"]
    assert recomputed == [record.id for record in records]


def test_a_killed_dump_leaves_the_last_one_and_the_next_removes_its_rest(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path}/board", tmp_path / "all.jsonl.gz"
    fill(url, 200, encode_record(native(1)))
    assert operate(url, "dump", str(file)).exit_code == 0
    last_night = file.read_bytes()
    command = [*COMMAND, "board", "dump", str(file), "--database", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        until = time.monotonic() + TIMEOUT_S
        while not (left := [*tmp_path.glob(".all.jsonl.gz-*")]) and time.monotonic() < until:
            os.sched_yield()
        running.send_signal(signal.SIGKILL)
    assert file.read_bytes() == last_night
    assert len(left) == 1
    assert left[0].exists()
    others = tmp_path / ".all.jsonl.gz-mine"
    others.touch()
    assert operate(url, "dump", str(file)).exit_code == 0
    assert left[0].exists(), "it may be under way"
    for each in (*left, others):
        os.utime(each, (0, 0))
    assert operate(url, "dump", str(file)).exit_code == 0
    assert not left[0].exists()
    assert others.exists()
    assert file.read_bytes() == last_night
