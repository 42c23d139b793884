"""``share --witness`` where the replay cannot be, or is refused: what is said of what was sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from epochmark.cli.commands.boards import share
from epochmark.errors import EpochmarkError
from epochmark.judge.results import ResultFiles
from tests.board.records import native
from tests.pipeline.in_process import call

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPOCHMARK_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("EPOCHMARK_BOARD", str(tmp_path / "own"))


def test_a_run_that_no_board_replays_is_refused_before_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(share, "_send", lambda *given, **options: sent.append(given))
    record = native(840)
    workload = msgspec.structs.replace(record.workload, name="gpt-124m")
    record = msgspec.structs.replace(record, workload=workload)
    ResultFiles(tmp_path / "results").save(record)
    code, _, complaint = call("share", record.id, "--to", NOWHERE, "--yes", "--witness")
    assert code == 2, complaint
    assert "gpt-124m is too large for a board to replay; nothing was sent" in complaint
    assert sent == []


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_the_address_of_what_was_sent_is_said_where_the_witness_is_refused(
    options: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> str:
        raise EpochmarkError("the board refuses it")

    receipt = {"state": "shown", "url": f"{NOWHERE}/result/abc"}
    monkeypatch.setattr(share, "_send", lambda *given, **options: dict(receipt))
    monkeypatch.setattr(share, "witnessed", refused)
    record = native(841)
    ResultFiles(tmp_path / "results").save(record)
    asked = ("share", record.id, "--to", NOWHERE, "--yes", "--witness", *options)
    code, answer, complaint = call(*asked)
    assert code == 1
    assert receipt["url"] in answer
    assert "witnessed" not in answer
    assert "the board refuses it" in complaint
