"""What a board refuses: with a status and a sentence, before it costs anything."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from starlette.requests import Request
from starlette.types import Message

from epochmark.board.client.identity import Identity
from epochmark.board.intake import body
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.protocol import DAY_HEADER, MAX_DOCUMENT_BYTES, MAX_WIRE_BYTES, RESULTS_PATH
from epochmark.records.digest import digest_of
from epochmark.records.json_text import to_json
from tests.board.records import native
from tests.board.running import TIMEOUT_S, Answer, Board, operate

SOUND = native(100, cpu="Chip R")
SCRIPT = "<script>alert(1)</script>'; DROP TABLE results; --"
Edit = Callable[[dict[str, Any]], object]


def document(edit: Edit | None = None, *, digest_too: bool = True) -> bytes:
    """A sound record's JSON after an edit, with a digest that fits it."""
    fields = json.loads(to_json(SOUND))
    if edit is not None:
        edit(fields)
    if digest_too:
        fields["digest"] = digest_of(fields)
    return json.dumps(fields).encode()


def faster(fields: dict[str, Any]) -> None:
    fields["headline"]["steady_epoch_s"] /= 2


def forged_digest(fields: dict[str, Any]) -> None:
    fields["digest"] = "0" * 64


def wrong_type(fields: dict[str, Any]) -> None:
    fields["timing"]["laps"] = {"a": 1}


def script_for_a_version(fields: dict[str, Any]) -> None:
    fields["engine"]["versions"]["x"] = SCRIPT


def endless_number(fields: dict[str, Any]) -> None:
    fields["peak_memory_bytes"] = 10**400


def unknown_field(fields: dict[str, Any]) -> None:
    fields["machine"]["__class__"] = SCRIPT


def path_for_an_id(fields: dict[str, Any]) -> None:
    fields["id"] = "../../etc/pa"


def turned_text(fields: dict[str, Any]) -> None:
    fields["label"] = "safe \u202e elif"


DOCUMENTS = {
    "another headline": (document(faster), "the headline says steady_epoch_s"),
    "a forged digest": (document(forged_digest, digest_too=False), "the digest does not match"),
    "a wrong type": (document(wrong_type), "Expected `array`"),
    "HTML and SQL for a version": (document(script_for_a_version), "is not a version"),
    "a number without end": (document(endless_number), "it cannot be read"),
    "an unknown field": (document(unknown_field), "unknown field"),
    "a path for an id": (document(path_for_an_id), "$.id"),
    "marks that turn writing": (document(turned_text), "cannot be printed"),
    "deep nesting": (b"[" * 3_000_000, "nested too deeply"),
    "deep nesting in a field": (
        b'{"schema": 4, "timing": ' + b'{"a":' * 200_000 + b"1" + b"}" * 200_000 + b"}",
        "nested too deeply",
    ),
    "no JSON": (b"\x00\xff" * 50, "it cannot be read"),
    "an empty document": (b"", "it cannot be read"),
    "a list": (b"[1, 2]", "not a JSON object"),
    "a later schema": (document(lambda fields: fields.update(schema=99)), "schema 99"),
}


@pytest.mark.parametrize("case", DOCUMENTS)
def test_a_document_that_is_no_sound_record_is_refused(board: Board, case: str) -> None:
    content, sentence = DOCUMENTS[case]
    answer = board.post(content, board.sender())
    assert answer.status == 422, answer.text
    assert sentence in " ".join([answer.json["error"], *answer.json["problems"]])


def test_an_engine_that_only_tests_the_tool_is_refused(board: Board) -> None:
    fake = Path(__file__).parents[1] / "records" / "fake-valid-4.json"
    answer = board.post(fake.read_bytes(), board.sender())
    assert (answer.status, "only tests the tool" in answer.json["error"]) == (422, True)


def test_html_and_sql_in_free_text_are_only_text(board: Board) -> None:
    def hostile(fields: dict[str, Any]) -> None:
        fields["label"] = SCRIPT
        fields["machine"]["cpu"] = f"Chip {SCRIPT}"
        fields["device"]["resolved_description"] = SCRIPT

    answer = board.post(document(hostile), board.sender())
    assert (answer.status, answer.json["state"]) == (201, "held")
    result_id = answer.json["id"]
    for word in ("release", "hold", "release"):
        done = operate(board.database, word, result_id, "--reason", f"seen {SCRIPT}")
        assert done.exit_code == 0, done.stderr
    listed = board.get(f"{RESULTS_PATH}/{result_id}").json
    way = quote(f"{listed['engine_family']} {listed['tuning']}, {listed['precision']}")
    paths = ("/", f"/?way={way}", "/latest", "/log", f"/chip/{listed['chip']}")
    for path in (*paths, f"/result/{result_id}", f"/badge/{result_id}.svg"):
        page = board.get(path)
        assert page.status == 200, path
        assert "<script" not in page.text, path
    for path in paths[1:]:
        assert "&lt;script&gt;" in board.get(path).text, path
    assert board.get(f"/result/{result_id}").text.count("&lt;script&gt;") > 1


def signed(board: Board, sender: Identity, body: bytes, **changes: str) -> Answer:
    """A body as it is, with its signature and these headers."""
    headers = {"Content-Type": "application/json", **changes}
    signature = sender.headers("POST", hashlib.sha256(body).hexdigest())
    return board.ask("POST", RESULTS_PATH, body, {**signature, **headers})


def test_a_bomb_is_refused_once_it_is_larger_than_a_document(board: Board) -> None:
    bomb = gzip.compress(b" " * (64 << 20))
    assert len(bomb) < MAX_WIRE_BYTES
    answer = signed(board, board.sender(), bomb, **{"Content-Encoding": "gzip"})
    assert (answer.status, "4 MiB" in answer.json["error"]) == (413, True)


def test_a_body_larger_than_it_may_be_is_refused_unread(board: Board) -> None:
    headers = {"Content-Type": "application/json", "Content-Length": str(MAX_WIRE_BYTES + 1)}
    answer = board.ask("POST", RESULTS_PATH, b"", headers)
    assert answer.status == 413


def test_a_body_without_end_is_refused(board: Board) -> None:
    host, _, port = board.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as connection:
        head = f"POST {RESULTS_PATH} HTTP/1.1\r\nHost: {board.address}\r\n"
        head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        piece = b"10000\r\n" + b"x" * 0x10000 + b"\r\n"
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            connection.sendall(piece * 1000)


def test_a_body_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "PATIENCE_S", 0.05)

    async def receive() -> Message:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    headers = [(b"content-type", b"application/json")]
    request = Request({"type": "http", "method": "POST", "headers": headers}, receive)
    with pytest.raises(RefusedError) as refused:
        asyncio.run(body.read_body(request))
    assert refused.value.status == 408


def test_a_document_of_the_largest_size_is_looked_at(board: Board) -> None:
    whole = document(lambda fields: fields.update(id="1a" * 6))
    padded = whole + b" " * (MAX_DOCUMENT_BYTES - len(whole))
    assert board.post(padded, board.sender("large")).status == 201
    assert board.post(padded + b" ", board.sender("large")).status == 413


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"not gzip", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}", mtime=0) + b"more", {"Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"{}", mtime=0)[:-4], {"Content-Encoding": "gzip"}, 400),
        (b"{}", {"Content-Encoding": "br"}, 415),
        (b"{}", {"Content-Type": "text/html"}, 415),
        (b"{}", {"Content-Type": "application/json; charset=utf-7"}, 422),
    ],
)
def test_a_body_of_another_kind_is_refused(
    board: Board, body: bytes, headers: dict[str, str], status: int
) -> None:
    assert signed(board, board.sender(), body, **headers).status == status


def test_what_was_signed_for_another_board_is_refused(board: Board) -> None:
    elsewhere = replace(board.sender(), origin="https://other.example")
    answer = board.post(document(), elsewhere)
    assert (answer.status, "another board" in answer.json["error"]) == (401, True)


def test_a_signature_is_of_one_body_one_day_and_one_action(board: Board) -> None:
    body, sender = document(), board.sender()
    right = sender.headers("POST", hashlib.sha256(body).hexdigest())
    other = sender.headers("POST", hashlib.sha256(b"{}").hexdigest())
    erasing = sender.headers("DELETE", hashlib.sha256(body).hexdigest())
    kind = {"Content-Type": "application/json"}
    for headers in (
        other,
        erasing,
        {},
        {**right, DAY_HEADER: "2026-01-01"},
        {**right, DAY_HEADER: "2026-99-99"},
        {**right, "Epochmark-Key": "0" * 64},
        {**right, "Epochmark-Key": "../../etc/passwd"},
        {**right, "Epochmark-Signature": "é" * 128},
    ):
        encoded = {
            name: value.encode("latin-1").decode("latin-1") for name, value in headers.items()
        }
        answer = board.ask("POST", RESULTS_PATH, body, {**kind, **encoded})
        assert answer.status == 401, headers


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "", "127.0.0.1:1", "a b"])
def test_another_host_header_is_refused(board: Board, host: str) -> None:
    answer = board.get("/", Host=host)
    assert answer.status in (400, 421)
    assert b"<html" not in answer.body


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/result/..%2f..%2fetc%2fpasswd",
        "/chip/%00",
        "/chip/..%2f",
        "/result/%f0%28",
        "/badge/'; DROP TABLE results; --.svg".replace(" ", "%20"),
        "/style.css/../x",
        f"{RESULTS_PATH}/%2e%2e",
        "/docs",
    ],
)
def test_a_path_that_is_none_of_ours_leads_nowhere(board: Board, path: str) -> None:
    assert board.get(path).status == 404


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=x", "before=-1", "before=9" + "9" * 30, "sort=id"]
)
def test_a_query_outside_its_bounds_is_refused(board: Board, query: str) -> None:
    answer = board.get(f"{RESULTS_PATH}?{query}")
    assert (answer.status, answer.headers["content-type"]) == (400, "application/json")


def test_a_filter_is_never_more_than_a_value(board: Board) -> None:
    for value in ("%27%20OR%201=1--", "%25", "a" * 3000):
        answer = board.get(f"{RESULTS_PATH}?chip={value}")
        assert (answer.status, answer.json["results"]) == (200, [])
    assert board.get(f"{RESULTS_PATH}?chip=%00").status == 400


def test_every_answer_forbids_scripts_and_sets_no_cookie(board: Board) -> None:
    for path in ("/", "/latest", "/log", "/how", "/nothing", RESULTS_PATH, "/style.css"):
        headers = board.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'; style-src 'self'")
        assert headers["x-content-type-options"] == "nosniff"
        assert "set-cookie" not in headers
        assert "server" not in headers


def test_a_key_and_an_address_are_limited_by_the_hour(
    start: Callable[..., Board], empty_database: str
) -> None:
    board = start(
        empty_database, "--per-key", "2", "--per-address", "4", "--trusted-proxy", "127.0.0.1"
    )
    record, sender = native(101, cpu="Chip S"), board.sender()
    sent = to_json(sender.copy_of(record))
    statuses = [board.post(sent, sender).status for _ in range(3)]
    assert statuses == [201, 200, 429]
    other = board.sender("other")
    assert board.post(b"{}", other).status == 422
    last = board.post(b"{}", other)
    assert (last.status, int(last.headers["retry-after"]) > 0) == (429, True)
    forwarded = {"X-Forwarded-For": "6.6.6.6, 2001:db8::1"}
    assert board.post(b"{}", other, **forwarded).status == 422
    neighbour = {"X-Forwarded-For": "2001:db8::ffff"}
    for _ in range(3):
        board.ask("POST", RESULTS_PATH, b"", neighbour)
    assert board.ask("POST", RESULTS_PATH, b"", neighbour).status == 429
