"""A board that is killed at any moment has every result that it acknowledged."""

from __future__ import annotations

import csv
import http.client
import io
import threading
from collections.abc import Callable
from pathlib import Path

from epochmark.board.protocol import RESULTS_PATH
from epochmark.records.bundle import encode_bundle
from tests.board.records import native
from tests.board.running import MANY, Board, operate

SENDERS = 3
RESULTS = 24
"""Of each sender."""
BEFORE_THE_KILL = 20


def test_a_killed_board_has_lost_nothing_that_it_acknowledged(
    start: Callable[..., Board], empty_database: str, tmp_path: Path
) -> None:
    bundle = tmp_path / "first.json"
    bundle.write_bytes(encode_bundle([native(0)]))
    assert operate(empty_database, "import", str(bundle)).exit_code == 0
    board = start(empty_database, *MANY)
    acknowledged: list[str] = []
    enough = threading.Event()

    def send(name: int) -> None:
        for number in range(RESULTS):
            try:
                answer = board.send(native(1 + number * SENDERS + name), board.sender(str(name)))
            except (OSError, http.client.HTTPException):
                return
            assert answer.status == 201
            acknowledged.append(answer.json["id"])
            if len(acknowledged) >= BEFORE_THE_KILL:
                enough.set()

    threads = [threading.Thread(target=send, args=(name,)) for name in range(SENDERS)]
    for thread in threads:
        thread.start()
    assert enough.wait(60)
    board.kill()
    for thread in threads:
        thread.join()
    assert BEFORE_THE_KILL <= len(acknowledged) < SENDERS * RESULTS, "it was killed under load"
    again = start(empty_database, *MANY)
    missing = [
        result_id
        for result_id in acknowledged
        if again.get(f"{RESULTS_PATH}/{result_id}").status != 200
    ]
    assert missing == []
    (cell,) = csv.DictReader(io.StringIO(again.get("/api/1/cells.csv").text))
    shown = again.get(f"{RESULTS_PATH}?limit=100").json["results"]
    assert len(shown) == int(cell["runs"]) > len(acknowledged), "cells are in step with results"
