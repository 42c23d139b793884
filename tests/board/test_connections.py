"""Clients that keep a board waiting are cut off by the board itself."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from epochmark.board import connections, server
from epochmark.board.intake import body
from epochmark.board.protocol import RESULTS_PATH
from epochmark.board.settings import Settings
from epochmark.board.storage.database import Database
from tests.board.running import TIMEOUT_S

SOON_S = 0.2


@pytest.fixture
def address(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Where a board listens that runs in this process, so that its bounds can be set."""
    with (
        contextlib.closing(Database(f"sqlite:///{tmp_path}/board")) as database,
        server.listen("127.0.0.1", 0) as listening,
    ):
        settings = Settings(server.local_origin(listening), b"")
        running = server.server_of(settings, database)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        yield listening.getsockname()
        running.should_exit = True
        thread.join()


@contextlib.contextmanager
def connected(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, timeout=TIMEOUT_S) as connection:
        yield connection


def head(address: tuple[str, int], request: str, *lines: str) -> bytes:
    """The lines of a request, without the empty one at its end."""
    host, port = address
    return "\r\n".join([f"{request} HTTP/1.1", f"Host: {host}:{port}", *lines, ""]).encode()


def everything(connection: socket.socket) -> bytes:
    """What comes until the board ends the connection."""
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(1 << 16):
            said += piece
    return said


@pytest.mark.parametrize("started", [False, True], ids=["nothing", "half a head"])
def test_a_client_that_says_nothing_is_cut_off(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, started: bool
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", SOON_S)
    with connected(address) as connection:
        if started:
            connection.sendall(head(address, "GET /"))
        assert everything(connection) == b""


def send_for_ever(connection: socket.socket, piece: bytes, *, reading: bool) -> None:
    """Send a piece again and again; between them, look a moment for an answer or an end."""
    while True:
        connection.sendall(piece)
        if reading:
            with contextlib.suppress(TimeoutError):
                assert connection.recv(1) == b""


def test_a_head_that_comes_letter_by_letter_is_cut_off(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", SOON_S)
    with connected(address) as connection:
        connection.sendall(head(address, "GET /", "X: ")[:-2])
        connection.settimeout(SOON_S / 20)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            send_for_ever(connection, b"x", reading=True)


def test_a_client_that_stops_in_its_second_request_is_cut_off(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_S", SOON_S)
    with connected(address) as connection:
        connection.sendall(head(address, "GET /style.css") + b"\r\n" + head(address, "GET /"))
        assert everything(connection).count(b"HTTP/1.1 200 OK") == 1


@pytest.mark.parametrize("method", ["POST", "GET"])
def test_a_body_that_never_comes_ends_with_an_answer(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    monkeypatch.setattr(body, "PATIENCE_S", SOON_S)
    monkeypatch.setattr(connections, "HEAD_S", SOON_S)
    announced = ("Content-Type: application/json", "Content-Length: 1000")
    with connected(address) as connection:
        connection.sendall(head(address, f"{method} {RESULTS_PATH}", *announced) + b"\r\n{")
        said = everything(connection)
    status = b"408 Request Timeout" if method == "POST" else b"200 OK"
    assert said.startswith(b"HTTP/1.1 " + status)
    assert said.count(b"HTTP/1.1") == 1


def test_a_client_that_reads_nothing_is_cut_off(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "ANSWER_S", 5 * SOON_S)
    request = head(address, "GET /style.css") + b"\r\n"
    with (
        connected(address) as connection,
        pytest.raises((BrokenPipeError, ConnectionResetError)),
    ):
        send_for_ever(connection, request, reading=False)
