"""Results on a board: sent, recomputed, held, listed, compared and deleted; on both databases."""

from __future__ import annotations

import csv
import io
import re
from concurrent.futures import ThreadPoolExecutor
from html import unescape

import msgspec
import sqlalchemy as sa

from epochmark.board.protocol import RESULTS_PATH
from epochmark.records.json_text import to_json
from epochmark.records.record import Record, RunLimits
from tests.board.records import judged, native
from tests.board.running import Board, operate


def released(board: Board, cpu: str, number: int) -> str:
    """The first result of a chip, sent and released."""
    receipt = board.send(native(number, cpu=cpu), board.sender("first")).json
    done = operate(board.database, "release", receipt["id"], "--reason", "looked at")
    assert done.exit_code == 0, done.stderr
    return str(receipt["id"])


def of_another_version(record: Record, **changes: object) -> Record:
    """A record that says that rules of another version judged it."""
    return msgspec.structs.replace(record, epochmark_version="0.0.1", **changes)


def test_the_first_result_of_a_chip_is_held_until_it_is_released(board: Board) -> None:
    record, sender = native(1, cpu="Chip A"), board.sender()
    first = board.send(record, sender)
    assert (first.status, first.json["state"]) == (201, "held")
    assert first.json["reason"] == "it is the first result of Chip A"
    assert board.get(f"{RESULTS_PATH}/{first.json['id']}").status == 404
    assert board.get(f"/result/{first.json['id']}").status == 404
    assert operate(board.database, "release", first.json["id"], "--reason", "it is so").stdout
    again = board.send(record, sender)
    assert (again.status, again.json["state"]) == (200, "shown")
    assert board.get(f"/result/{first.json['id']}").status == 200
    second = board.send(native(2, cpu="Chip A"), board.sender("another"))
    assert (second.status, second.json["state"]) == (201, "shown")


def test_a_chip_whose_address_another_has_is_still_the_first_of_its_name(board: Board) -> None:
    released(board, "Chip Q", 50)
    alike = board.send(native(51, cpu="Chip-Q"), board.sender("q"))
    assert (alike.json["state"], alike.json["reason"]) == (
        "held",
        "it is the first result of Chip-Q",
    )


def test_the_board_shows_its_own_figures_and_the_record_as_it_was_sent(board: Board) -> None:
    record = native(3, cpu="Chip B")
    result_id = released(board, "Chip B", 3)
    shown = board.get(f"{RESULTS_PATH}/{result_id}").json
    assert shown["steady_epoch_s"] == record.headline.steady_epoch_s
    assert shown["words"] == ["checked"]
    assert "Whether the work was right is for the validity to say." in board.get("/how").text
    assert shown["record"]["timing"]["laps"][5]["end_ns"] == record.timing.laps[5].end_ns
    assert shown["record"]["machine"]["machine_id"] != record.machine.machine_id


def test_a_result_much_faster_than_its_like_is_held(board: Board) -> None:
    released(board, "Chip C", 4)
    slower = board.send(native(5, cpu="Chip C", step_s=0.0215), board.sender("c"))
    assert slower.json["state"] == "shown"
    faster = board.send(native(6, cpu="Chip C", step_s=0.0125), board.sender("d"))
    assert faster.json["state"] == "held"
    assert "times as fast as the fastest like it" in faster.json["reason"]


def test_a_result_above_the_measured_peak_is_held(board: Board) -> None:
    released(board, "Chip L", 8)
    record = native(9, cpu="Chip L")
    limits = RunLimits(
        measured=record.created, float32_gflop_per_s=20.0, float32_source="avx512 on 2 threads"
    )
    record = judged(msgspec.structs.replace(record, limits=limits))
    assert [finding.code for finding in record.findings] == ["limits-stale"]
    silent = of_another_version(record, findings=[])
    for sender, sent_record in (("l", record), ("silent", silent)):
        sent = board.send(sent_record, board.sender(sender))
        assert (sent.status, sent.json["state"]) == (201, "held"), sent.text
        assert sent.json["reason"] == "it is faster than the peak measured for its processor"


def test_a_record_of_another_version_is_of_the_precision_that_its_replay_shows(
    board: Board,
) -> None:
    released(board, "Chip P", 17)
    record = native(18, cpu="Chip P")
    assert record.replay is not None
    first, *others = record.replay.losses
    assert first is not None
    losses = [1.000007 * first, *others]
    honest = judged(
        msgspec.structs.replace(
            record, replay=msgspec.structs.replace(record.replay, losses=losses)
        )
    )
    assert honest.precision.observed == "tf32"
    named = msgspec.structs.replace(honest.precision, observed="float32")
    sent = board.send(of_another_version(honest, precision=named), board.sender("p"))
    assert sent.json["state"] == "shown", sent.text
    shown = board.get(f"{RESULTS_PATH}/{sent.json['id']}").json
    assert shown["precision"] == "tf32"
    listed = board.get(f"{RESULTS_PATH}?chip=chip-p&precision=float32").json["results"]
    assert sent.json["id"] not in {row["id"] for row in listed}


def test_a_deleted_result_leaves_its_digest_and_nothing_else(board: Board) -> None:
    record, sender = native(7, cpu="Chip D"), board.sender("owner")
    receipt = board.send(record, sender).json
    assert board.delete(receipt["id"], board.sender("thief")).status == 403
    assert board.delete(receipt["id"], sender).status == 200
    assert board.delete(receipt["id"], sender).status == 200
    assert board.send(record, sender).status == 410
    result_id = receipt["id"]
    for path in (f"{RESULTS_PATH}/{result_id}", f"/result/{result_id}", f"/badge/{result_id}.svg"):
        assert board.get(path).status == 410, path
    with sa.create_engine(board.database).connect() as connection:
        chosen = sa.text("SELECT * FROM results WHERE id = :id")
        row = connection.execute(chosen, {"id": receipt["id"]}).one()
        left = {name for name, value in row._mapping.items() if value is not None}
    connection.engine.dispose()
    assert left == {"number", "id", "digest", "state", "received"}


def test_a_result_that_arrives_many_times_at_once_is_there_once(board: Board) -> None:
    record, sender = native(60, cpu="Chip N"), board.sender()
    with ThreadPoolExecutor(8) as threads:
        answers = [*threads.map(lambda _: board.send(record, sender), range(8))]
    assert sorted(answer.status for answer in answers) == [200] * 7 + [201]
    assert len({answer.json["id"] for answer in answers}) == 1


def test_a_run_that_is_sent_again_in_another_form_stays_as_it_was_first_sent(
    board: Board,
) -> None:
    record, sender = msgspec.structs.replace(native(61, cpu="Chip O"), label="mine"), board.sender()
    first = board.send(record, sender).json
    labelled = to_json(sender.copy_of(record, keep_label=True))
    refused = set()
    for state in ("held", "shown"):
        again = board.post(labelled, sender)
        assert (again.status, again.json["state"]) == (200, state)
        assert again.json["digest"] == first["digest"]
        other = board.post(labelled, board.sender("other"))
        refused.add((other.status, other.json["error"]))
        operate(board.database, "release", first["id"], "--reason", "looked at")
    assert refused == {(409, f"this board has {first['id']} already, from another sender")}
    board.delete(first["id"], sender)
    assert board.post(labelled, sender).status == 410


def test_an_unknown_result_cannot_be_deleted(board: Board) -> None:
    assert board.delete("0" * 12, board.sender()).status == 404


def test_pages_of_a_list_hold_each_result_once(board: Board) -> None:
    released(board, "Chip E", 10)
    for number in range(11, 16):
        board.send(native(number, cpu="Chip E"), board.sender(f"e{number}"))
    seen, path = [], f"{RESULTS_PATH}?chip=chip-e&limit=2"
    while path:
        listed = board.get(path).json
        seen += [row["number"] for row in listed["results"]]
        assert {row["chip_name"] for row in listed["results"]} == {"Chip E"}
        path = listed["next"]
    page = board.get("/latest?limit=2").text
    (older,) = re.findall(r'rel="next" href="([^"]*)"', page)
    second = board.get(f"/latest{unescape(older)}").text
    assert page.count('<td><a href="/result/') == second.count('<td><a href="/result/') == 2
    assert len(seen) == 6
    assert seen == sorted(set(seen), reverse=True)


def test_an_owner_counts_once_in_a_cell(board: Board) -> None:
    released(board, "Chip F", 20)
    for number in range(21, 26):
        sent = board.send(native(number, cpu="Chip F", step_s=0.03), board.sender("eager"))
        assert sent.json["state"] == "shown"
    rows = csv.DictReader(io.StringIO(board.get("/api/1/cells.csv").text))
    (cell,) = (row for row in rows if row["chip"] == "chip-f")
    assert (cell["runs"], cell["owners"], cell["share_valid"]) == ("6", "2", "1.0")
    mine = board.send(native(25, cpu="Chip F", step_s=0.03), board.sender("eager")).json
    assert mine["standing"] == {
        "slower": 0,
        "others": 1,
        "url": f"{board.origin}/group/{cell['cell']}?run={mine['id']}",
    }


def test_a_reader_that_has_it_already_gets_no_body(board: Board) -> None:
    result_id = released(board, "Chip G", 30)
    for path in (f"/result/{result_id}", f"{RESULTS_PATH}/{result_id}", f"/badge/{result_id}.svg"):
        first = board.get(path)
        again = board.get(path, **{"If-None-Match": first.headers["etag"]})
        assert (first.status, again.status, again.body) == (200, 304, b"")


def test_a_badge_says_how_far_to_believe_it(board: Board) -> None:
    result_id = released(board, "Chip H", 31)
    badge = board.get(f"/badge/{result_id}.svg")
    assert badge.headers["content-type"] == "image/svg+xml"
    assert "s/epoch, valid" in badge.text


def test_a_banned_key_sends_nothing_more_and_what_it_sent_is_hidden(board: Board) -> None:
    released(board, "Chip I", 40)
    sender = board.sender("spammer")
    sent = board.send(native(41, cpu="Chip I"), sender).json
    key = board.get(f"{RESULTS_PATH}/{sent['id']}").json["key"]
    done = operate(board.database, "ban", key, "--reason", "made-up results")
    assert "1 result hidden" in done.stdout
    refused = board.send(native(42, cpu="Chip I"), sender)
    assert (refused.status, "made-up results" in refused.json["error"]) == (403, True)
    assert board.get(f"/result/{sent['id']}").status == 404
    assert "made-up results" in board.get("/log").text


def test_decisions_are_in_the_public_log_with_their_reason(board: Board) -> None:
    result_id = released(board, "Chip J", 43)
    for word in ("hold", "hide"):
        operate(board.database, word, result_id, "--reason", f"to {word} <b>it</b>")
        assert board.get(f"/result/{result_id}").status == 404
        assert f"to {word} &lt;b&gt;it&lt;/b&gt;" in board.get("/log").text


def test_what_an_operator_names_wrongly_is_an_error(board: Board) -> None:
    for words in (("hide", "f" * 12), ("ban", "abc"), ("hold", "../x")):
        done = operate(board.database, *words, "--reason", "why not")
        assert (done.exit_code, done.stderr.count("\n")) == (2, 1), done.stderr
    done = operate(board.database, "hide", released(board, "Chip K", 44), "--reason", " ")
    assert (done.exit_code, "--reason takes" in done.stderr) == (2, True)
