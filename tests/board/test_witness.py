"""Witnessed results: an extra replay from a number that no one knew before it was drawn."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from epochmark.bench.request import named_workloads
from epochmark.board.client.identity import Identity, identity_for
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.intake.witness import checked
from epochmark.board.protocol import KEY_HEADER, RESULTS_PATH
from epochmark.engines import get_engine
from epochmark.judge.results import ResultFiles
from epochmark.records.json_text import to_json
from epochmark.records.record import Record
from epochmark.workloads import MNIST_CNN, WORKLOADS
from epochmark.workloads._proof.witness import (
    Occasion,
    can_be_witnessed,
    problem_of,
    right_losses,
    witness_batches,
    witness_weights,
)
from epochmark.workloads.spec import Images
from tests.board.records import native, torch
from tests.board.running import Answer, Board, operate
from tests.pipeline.program import Program
from tests.report.samples import finished

FORM = "epsilon_hat"
"""Of Adam, in the native engine."""


def key_of(sender: Identity) -> str:
    return sender.headers("POST", "")[KEY_HEADER]


def sent(board: Board, number: int, name: str, *, hidden: bool = False) -> str:
    """The id of a shown result of the native engine."""
    cpu = f"Chip of {name}"
    result_id = str(board.send(native(number, cpu=cpu), board.sender(name)).json["id"])
    word = "hide" if hidden else "release"
    operate(board.database, word, result_id, "--reason", "looked at")
    return result_id


def drawn(board: Board, result_id: str, sender: Identity) -> Answer:
    headers = sender.headers("WITNESS", result_id)
    return board.ask("POST", f"{RESULTS_PATH}/{result_id}/nonce", b"", headers)


def answered(
    board: Board, result_id: str, sender: Identity, nonce: str, losses: Sequence[float | None]
) -> Answer:
    body = to_json({"nonce": nonce, "losses": losses})
    return posted(board, result_id, sender, body)


def posted(board: Board, result_id: str, sender: Identity, body: bytes) -> Answer:
    headers = {"Content-Type": "application/json"}
    headers |= sender.headers("POST", hashlib.sha256(body).hexdigest())
    return board.ask("POST", f"{RESULTS_PATH}/{result_id}/witness", body, headers)


def computed(board: Board, result_id: str, sender: Identity, nonce: str) -> list[float | None]:
    occasion = Occasion(board.origin, key_of(sender), result_id, nonce)
    return [*right_losses(MNIST_CNN, FORM, occasion)]


def words(board: Board, result_id: str) -> Any:
    return board.get(f"{RESULTS_PATH}/{result_id}").json["words"]


def test_right_losses_make_a_result_witnessed_once_for_a_number(board: Board) -> None:
    sender, result_id = board.sender("w1"), sent(board, 800, "w1")
    assert words(board, result_id) == ["checked"]
    answer = drawn(board, result_id, sender)
    assert answer.status == 201
    nonce = answer.json["nonce"]
    losses = computed(board, result_id, sender, nonce)
    first = answered(board, result_id, sender, nonce, losses)
    assert (first.status, first.json["id"]) == (200, result_id)
    assert words(board, result_id) == ["checked", "witnessed"]
    page = board.get(f"/result/{result_id}").text
    assert "It proves freshness, not hardware." in page
    assert 'class="word">witnessed' in board.get("/latest").text
    again = answered(board, result_id, sender, nonce, losses)
    assert (again.status, "used already" in again.json["error"]) == (409, True)


def test_wrong_losses_are_refused_and_use_the_number_up(board: Board) -> None:
    sender, result_id = board.sender("w2"), sent(board, 801, "w2")
    nonce = drawn(board, result_id, sender).json["nonce"]
    right = computed(board, result_id, sender, nonce)
    assert right[2] is not None
    wrong = [*right[:2], 1.01 * right[2], *right[3:]]
    answer = answered(board, result_id, sender, nonce, wrong)
    assert answer.status == 422
    assert answer.json["problems"][0].startswith("the loss of step 3 is ")
    assert answered(board, result_id, sender, nonce, right).status == 409
    for losses in (right[:2], [None, *right[1:]], [1e308] * 3):
        nonce = drawn(board, result_id, sender).json["nonce"]
        assert answered(board, result_id, sender, nonce, losses).status == 422
    assert words(board, result_id) == ["checked"]


def test_losses_that_come_too_late_are_refused(board: Board) -> None:
    sender, result_id = board.sender("w3"), sent(board, 802, "w3")
    nonce = drawn(board, result_id, sender).json["nonce"]
    engine = sa.create_engine(board.database)
    with engine.begin() as connection:
        chosen = sa.text("UPDATE nonces SET until = :until WHERE nonce = :nonce")
        connection.execute(chosen, {"until": "2026-01-01T00:00:00Z", "nonce": nonce})
    engine.dispose()
    late = answered(board, result_id, sender, nonce, computed(board, result_id, sender, nonce))
    assert (late.status, "due at 2026-01-01" in late.json["error"]) == (410, True)
    assert words(board, result_id) == ["checked"]


def test_a_number_is_for_one_result_and_one_key_and_one_board(board: Board) -> None:
    sender, thief = board.sender("w4"), board.sender("thief")
    result_id, other_id = sent(board, 803, "w4"), sent(board, 804, "w4")
    assert drawn(board, result_id, thief).status == 403
    assert drawn(board, "0" * 12, sender).status == 404
    nonce = drawn(board, result_id, sender).json["nonce"]
    losses = computed(board, result_id, sender, nonce)
    assert answered(board, result_id, thief, nonce, losses).status == 403
    assert answered(board, other_id, sender, nonce, losses).status == 403
    elsewhere = Occasion("https://other.example", key_of(sender), result_id, nonce)
    of_theirs = [*right_losses(MNIST_CNN, FORM, elsewhere)]
    assert answered(board, result_id, sender, nonce, of_theirs).status == 422
    assert answered(board, result_id, sender, "0" * 32, losses).status == 404


def test_a_newer_number_replaces_an_older_one(board: Board) -> None:
    sender, result_id = board.sender("w5"), sent(board, 805, "w5")
    older, newer = (drawn(board, result_id, sender).json["nonce"] for _ in range(2))
    losses = computed(board, result_id, sender, older)
    assert answered(board, result_id, sender, older, losses).status == 404
    losses = computed(board, result_id, sender, newer)
    assert answered(board, result_id, sender, newer, losses).status == 200


def test_what_is_no_replay_is_refused_before_it_costs_anything(board: Board) -> None:
    sender, result_id = board.sender("w6"), sent(board, 806, "w6")
    nonce = drawn(board, result_id, sender).json["nonce"]
    bodies = {
        b"": 400,
        b"[": 400,
        to_json({"nonce": nonce}): 400,
        to_json({"nonce": nonce, "losses": ["2.3"] * 4}): 400,
        to_json({"nonce": "../x", "losses": []}): 400,
        to_json({"nonce": nonce, "losses": [1.0] * 101}): 400,
        gzip.compress(b"{}"): 400,
        b" " * 5000: 413,
    }
    for body, status in bodies.items():
        assert posted(board, result_id, sender, body).status == status, body[:40]
    unsigned = board.ask("POST", f"{RESULTS_PATH}/{result_id}/nonce", b"")
    assert unsigned.status == 401
    assert drawn(board, sent(board, 807, "w6", hidden=True), sender).status == 404


def test_a_deleted_result_leaves_nothing_of_its_witness(board: Board) -> None:
    sender, result_id = board.sender("w7"), sent(board, 808, "w7")
    nonce = drawn(board, result_id, sender).json["nonce"]
    answered(board, result_id, sender, nonce, computed(board, result_id, sender, nonce))
    assert board.delete(result_id, sender).status == 200
    engine = sa.create_engine(board.database)
    with engine.connect() as connection:
        chosen = sa.text("SELECT number FROM results WHERE id = :id")
        number = connection.execute(chosen, {"id": result_id}).scalar_one()
        for table in ("witnesses", "nonces", "addresses", "confirmations"):
            chosen = sa.text(f"SELECT count(*) FROM {table} WHERE number = :number")
            assert connection.execute(chosen, {"number": number}).scalar_one() == 0, table
    engine.dispose()


@pytest.mark.parametrize("name", [workload.name for workload in named_workloads("all")])
def test_weights_and_batches_follow_from_the_number_alone(name: str) -> None:
    workload = WORKLOADS[name]
    here, again, other = (
        Occasion("https://board.example", "a" * 64, "0" * 12, nonce) for nonce in "aab"
    )
    first, second, third = (
        [
            *witness_weights(workload, occasion).values(),
            *chain.from_iterable(witness_batches(workload, occasion)),
        ]
        for occasion in (here, again, other)
    )
    assert all((part == same).all() for part, same in zip(first, second, strict=True))
    assert not any((part == another).all() for part, another in zip(first, third, strict=True))
    classes = workload.input.classes if isinstance(workload.input, Images) else 256
    inputs, targets = witness_batches(workload, here)[0]
    assert len(inputs) == len(targets) <= 8
    assert targets.max() < classes


def test_a_workload_that_is_too_large_for_a_board_is_not_witnessed() -> None:
    for workload in WORKLOADS.values():
        assert can_be_witnessed(workload) == (workload.name != "gpt-124m")
    run = native(830).workload
    large = msgspec.structs.replace(
        native(830), workload=msgspec.structs.replace(run, name="gpt-124m")
    )
    with pytest.raises(RefusedError, match="gpt-124m is too large for a board to replay"):
        checked(large)


def test_losses_are_judged_by_the_precision_of_the_run() -> None:
    right = [3.4, 9.2, 8.3]
    near = [3.401, 9.201, 8.3]
    assert problem_of(right, right, "float32") is None
    assert problem_of(near, right, "float32") is not None
    assert problem_of(near, right, "tf32") is None
    assert problem_of([3.4, 10.2, 8.3], right, None) is not None


@pytest.fixture
def user(tmp_path: Path) -> Program:
    environment = {
        "EPOCHMARK_RESULTS": str(tmp_path / "results"),
        "EPOCHMARK_BOARD": str(tmp_path / "own"),
        "no_proxy": "*",
        "TMPDIR": str(tmp_path),
    }
    return Program(tmp_path, environment)


def of_this_machine(record: Record) -> Record:
    """The record as the native engine here would have made it."""
    (device,) = get_engine("native").list_devices()
    seen = msgspec.structs.replace(record.device, resolved_description=device.description)
    return finished(msgspec.structs.replace(record, device=seen))


def test_a_user_has_a_result_witnessed_by_its_engine(sqlite_board: Board, user: Program) -> None:
    record = of_this_machine(native(820, cpu="Chip of a user"))
    ResultFiles(user.results).save(record)
    done = user.run("share", record.id, "--to", sqlite_board.origin, "--yes", "--witness")
    assert done.returncode == 0, done.stderr
    assert "witnessed at 20" in done.stdout
    assert "extra replay with native: checking" in done.stderr
    identity = identity_for(sqlite_board.origin, user.folder / "own")
    result_id = identity.id_of(record.id)
    operate(sqlite_board.database, "release", result_id, "--reason", "looked at")
    assert words(sqlite_board, result_id) == ["checked", "witnessed"]
    done = user.run("share", record.id, "--to", sqlite_board.origin, "--yes", "--witness", "--json")
    assert json.loads(done.stdout)["witnessed"].startswith("20")


def test_an_engine_that_is_gone_is_named_and_nothing_is_witnessed(
    sqlite_board: Board, user: Program
) -> None:
    user.environment["EPOCHMARK_ENVIRONMENTS"] = str(user.folder / "none")
    gone = torch(821, gpu="NVIDIA GeForce RTX 2060")
    other = of_this_machine(native(822, cpu="Chip of a user"))
    engine = msgspec.structs.replace(other.engine, versions={"epochmark": "0.0.1"})
    other = finished(msgspec.structs.replace(other, engine=engine))
    for record, complaint in ((gone, "PyTorch is not installed"), (other, "needs the same")):
        ResultFiles(user.results).save(record)
        done = user.run("share", record.id, "--to", sqlite_board.origin, "--yes", "--witness")
        assert done.returncode in (1, 2)
        assert complaint in done.stderr, done.stderr
        assert "witnessed" not in done.stdout
    wrong = user.run("share", other.id, "--delete", "--witness", "--yes")
    assert (wrong.returncode, "--witness goes with sending" in wrong.stderr) == (2, True)
