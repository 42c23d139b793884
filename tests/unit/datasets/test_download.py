"""Downloads from a real HTTP server that is good, slow, broken or hostile."""

from __future__ import annotations

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from epochmark.datasets.download import Deadlines, download
from epochmark.datasets.mirrors import GzipMirror
from epochmark.datasets.mnist import SourceError

IMPATIENT = Deadlines(stall_s=0.2, total_s=30.0)
PATIENT = Deadlines(stall_s=30.0, total_s=30.0)
"""For answers that do come, also on a busy machine."""

IN_A_HURRY = Deadlines(stall_s=30.0, window_s=0.5, window_bytes=300, total_s=30.0)
"""Waits long for a byte, but not long for all of them."""

LIMIT = 1_000


class Server(ThreadingHTTPServer):
    """``released`` lets go of the answers this server holds back."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.released = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Each path misbehaves in its own way."""

    server: Server

    def do_GET(self) -> None:
        answers: dict[str, Callable[[], None]] = {
            "/good": lambda: self.answer(b"x" * 900),
            "/unannounced": lambda: self.answer(b"x" * 900, announce=False),
            "/truncated": lambda: self.answer(b"x" * 900, length=950),
            "/announced-too-large": lambda: self.answer(b"x", length=LIMIT + 1),
            "/endless": self.endless,
            "/stalled": self.stalled,
            "/silent": self.wait,
            "/odd-length": lambda: self.answer(b"x", length="many"),
            "/not-http": lambda: self.send(b"SSH-2.0-OpenSSH\r\n"),
            "/redirect": lambda: self.redirect("/good"),
            "/loop": lambda: self.redirect("/loop"),
            "/to-file": lambda: self.redirect("file:///etc/passwd"),
            "/to-ftp": lambda: self.redirect("ftp://127.0.0.1/x"),
            "/negative": lambda: self.answer(b"x" * 900, length=-900),
            "/bomb": lambda: self.answer(gzip.compress(b"0" * 10_000_000)),
            "/slow-status": lambda: self.trickle(b"", b"H"),
            "/slow-headers": lambda: self.trickle(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
            "/many-continues": lambda: self.trickle(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
            "/slow-body": lambda: self.trickle(b"HTTP/1.1 200 OK\r\n\r\n", b"x"),
            "/slow-chunks": lambda: self.trickle(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"
            ),
            "/slow-chunk-size": lambda: self.trickle(
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n", b"0"
            ),
        }
        answer = answers.get(self.path)
        if answer is None:
            self.send_error(404)
        else:
            answer()

    def answer(
        self, body: bytes, *, length: int | str | None = None, announce: bool = True
    ) -> None:
        self.send_response(200)
        if announce:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.send(body)

    def endless(self) -> None:
        self.answer(b"", announce=False)
        while not self.server.released.is_set():
            self.send(b"x" * 100)

    def stalled(self) -> None:
        self.answer(b"x" * 10, length=900)
        self.wait()

    def trickle(self, beginning: bytes, piece: bytes) -> None:
        """The beginning at once, then the piece again and again, but not for ever."""
        self.send(beginning)
        for _ in range(300):
            if self.server.released.wait(0.05):
                return
            self.send(piece)

    def wait(self) -> None:
        self.server.released.wait(30)

    def redirect(self, target: str) -> None:
        self.send_response(302)
        self.send_header("Location", target)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send(self, content: bytes) -> None:
        try:
            self.wfile.write(content)
            self.wfile.flush()
        except OSError:  # the client has had enough
            self.server.released.set()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.released.set()
        httpd.shutdown()
        thread.join()


def quiet(what: str, done: int, total: int | None) -> None:
    pass


@pytest.mark.parametrize(
    ("path", "total"), [("/good", 900), ("/unannounced", None), ("/redirect", 900)]
)
def test_sound_answers_arrive_with_progress(server: str, path: str, total: int | None) -> None:
    seen: list[tuple[int, int | None]] = []
    body = download(
        server + path, LIMIT, lambda what, done, total: seen.append((done, total)), PATIENT
    )
    assert body == b"x" * 900
    assert seen[0] == (0, total)
    assert seen[-1] == (900, total)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "the server answered 404"),
        ("/truncated", "broken off after 900 of 950 bytes"),
        ("/announced-too-large", "1001 bytes announced, more than 1000"),
        ("/endless", "more than 1000 bytes"),
        ("/stalled", r"no answer for 0\.2 s"),
        ("/silent", r"no answer for 0\.2 s|no connection \(timed out\)"),
        ("/odd-length", "broken off"),
        ("/not-http", "broken off"),
        ("/loop", "infinite loop"),
        ("/to-file", "not allowed|unknown url type"),
        ("/to-ftp", "unknown url type"),
        ("/negative", "broken off after 900 of -900 bytes"),
        ("/bomb", "bytes announced, more than 1000"),
    ],
)
def test_unsound_answers_give_a_reason(server: str, path: str, reason: str) -> None:
    patience = IMPATIENT if path in {"/stalled", "/silent"} else PATIENT
    with pytest.raises(SourceError, match=reason):
        download(server + path, LIMIT, quiet, patience)


def test_whole_download_is_bounded_in_time(server: str) -> None:
    with pytest.raises(SourceError, match="took too long"):
        download(server + "/endless", 10**9, quiet, Deadlines(stall_s=5.0, total_s=0.0))


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/slow-status", r"no complete answer within 0\.5 s"),
        ("/slow-headers", r"no complete answer within 0\.5 s"),
        ("/many-continues", r"no complete answer within 0\.5 s"),
        ("/slow-body", r"too slow: \d+ bytes in 0\.5 s|no whole answer"),
        ("/slow-chunks", r"too slow: \d+ bytes in 0\.5 s|no whole answer"),
        ("/slow-chunk-size", r"too slow: \d+ bytes in 0\.5 s|no whole answer"),
    ],
)
def test_a_server_that_always_sends_a_little_is_given_up(
    server: str, path: str, reason: str
) -> None:
    """And nothing of it goes on: the connection is closed, so the thread that read it ends."""
    before = threading.enumerate()
    with pytest.raises(SourceError, match=reason):
        download(server + path, LIMIT, quiet, IN_A_HURRY)
    for thread in threading.enumerate():
        if thread not in before and thread.name.startswith("download "):
            thread.join(30)
            assert not thread.is_alive()


def test_a_handshake_that_never_ends_is_given_up(server: str) -> None:
    """Whoever listens there does not speak TLS, but keeps the connection."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(SourceError, match="no complete answer"):
            download(url, LIMIT, quiet, IN_A_HURRY)


def test_a_closed_port_gives_a_reason(server: str) -> None:
    with Server() as closed:
        port = closed.server_port
    with pytest.raises(SourceError, match="no connection"):
        download(f"http://127.0.0.1:{port}/good", LIMIT, quiet, PATIENT)


def test_mirror_without_the_files_gives_the_servers_answer(server: str) -> None:
    with pytest.raises(SourceError, match="404"):
        GzipMirror(f"{server}/mnist/", PATIENT).read(quiet)
