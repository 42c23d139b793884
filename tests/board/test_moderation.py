"""What an operator decides about results and senders, and where it can be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from epochmark.board.protocol import KEY_HEADER, LOG_PATH
from tests.board.records import native
from tests.board.running import MANY, Board, operate


def test_a_ban_can_be_taken_back_and_what_it_hid_is_released_by_hand(board: Board) -> None:
    sender = board.sender("m1")
    key = sender.headers("POST", "")[KEY_HEADER]
    receipt = board.send(native(1000, cpu="Chip of m1"), sender).json
    operate(board.database, "release", receipt["id"], "--reason", "looked at")
    not_yet = operate(board.database, "unban", key, "--reason", "proved it")
    assert (not_yet.exit_code, "is not banned" in not_yet.stderr) == (2, True)
    operate(board.database, "ban", key, "--reason", "made up")
    refused = board.send(native(1001, cpu="Chip of m1"), sender)
    assert (refused.status, refused.json["error"].endswith("made up")) == (403, True)
    done = operate(board.database, "unban", key, "--reason", "proved it")
    assert "is not banned any more; 1 result of it stay hidden" in done.stdout
    assert board.get(f"/result/{receipt['id']}").status == 404
    assert board.send(native(1001, cpu="Chip of m1"), sender).status == 201
    operate(board.database, "release", receipt["id"], "--reason", "proved it")
    assert board.get(f"/result/{receipt['id']}").status == 200


def test_a_result_is_shown_to_the_operator_in_every_state(board: Board) -> None:
    sender = board.sender("m2")
    result_id = board.send(native(1002, cpu="Chip of m2"), sender).json["id"]
    held = operate(board.database, "show", result_id).stdout
    assert f"{result_id} is held: it is the first result of Chip of m2" in held
    assert f"  key: {sender.headers('POST', '')[KEY_HEADER]}" in held
    operate(board.database, "hide", result_id, "--reason", "no such chip")
    said = operate(board.database, "show", result_id, "--json").stdout
    found = json.loads(said)
    assert (found["state"], found["words"]) == ("hidden", [])
    assert [decision["action"] for decision in found["decisions"]] == ["hide"]
    board.delete(result_id, sender)
    deleted = operate(board.database, "show", result_id).stdout
    assert f"{result_id} is deleted" in deleted
    assert "Chip of m2" not in deleted
    for wrong in ("0" * 12, "x", "../y"):
        assert operate(board.database, "show", wrong).exit_code == 2


def test_the_log_is_public_and_links_to_what_is_shown(
    start: Callable[..., Board], empty_database: str, tmp_path: Path
) -> None:
    board = start(empty_database, *MANY)
    ids = [board.send(native(1010 + n, cpu=f"Chip {n}"), board.sender("m3")).json["id"]
           for n in range(2)]  # fmt: skip
    operate(board.database, "release", ids[0], "--reason", "seen the machine")
    operate(board.database, "hide", ids[1], "--reason", "there is no such chip")
    page = board.get("/log").text
    assert f'<a href="/result/{ids[0]}">' in page
    assert f'<a href="/result/{ids[1]}">' not in page
    assert "there is no such chip" in page
    listed = board.get(f"{LOG_PATH}?limit=1").json
    assert [decision["subject"] for decision in listed["decisions"]] == [ids[1]]
    following = board.get(listed["next"]).json
    assert [decision["subject"] for decision in following["decisions"]] == [ids[0]]
    assert following["next"] is None
