"""One bounded download over HTTP: no larger, no slower and no longer than it may be."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from epochmark._version import __version__
from epochmark.datasets.mnist import SourceError
from epochmark.datasets.progress import Progress

_PIECE_BYTES = 1 << 16


@dataclass(frozen=True)
class Deadlines:
    """How long to wait. ``stall_s``: seconds for a connection, or for the next byte. ``window_s``:
    in each stretch so long, name look-up, redirects and headers included, ``window_bytes`` of the
    file must arrive (10 kB/s). ``total_s``: seconds for one whole file."""

    stall_s: float = 10.0
    window_s: float = 30.0
    window_bytes: int = 300_000
    total_s: float = 300.0


PATIENCE = Deadlines()


def download(url: str, limit: int, progress: Progress, patience: Deadlines) -> bytes:
    """The body behind ``url``, at most ``limit`` bytes, through the environment's proxies.

    It stays in memory, so that nothing is left behind by a failure or Ctrl-C. ``SourceError``
    says why there is none.
    """
    fetch = _Fetch(url, limit, progress, patience)
    # in a thread, since a server that sends a byte now and then is never caught by a time limit
    # for the next one, and a name look-up has no limit at all
    thread = threading.Thread(target=fetch.run, name=f"download {url}", daemon=True)
    thread.start()
    try:
        _await(fetch, patience)
    finally:
        fetch.give_up()
    return fetch.result()


def _await(fetch: _Fetch, patience: Deadlines) -> None:
    """Until the fetch has ended; ``SourceError`` when it takes too long or is too slow."""
    began = time.monotonic()
    before = 0
    while True:
        left_s = began + patience.total_s - time.monotonic()
        if fetch.ended.wait(min(patience.window_s, max(0.0, left_s))):
            return
        received = len(fetch.body)
        if left_s <= patience.window_s:
            raise SourceError(f"took too long: {received} bytes arrived in {patience.total_s:g} s")
        if not received:
            raise SourceError(f"no complete answer within {patience.window_s:g} s")
        if received - before < patience.window_bytes:
            raise SourceError(f"too slow: {received - before} bytes in {patience.window_s:g} s")
        before = received


class _Fetch:
    """One download in a thread of its own, which another thread may end."""

    def __init__(self, url: str, limit: int, progress: Progress, patience: Deadlines) -> None:
        self._url = url
        self._limit = limit
        self._progress = progress
        self._stall_s = patience.stall_s
        self._connections: list[socket.socket] = []
        self._given_up = False
        self._error: BaseException | None = None
        self.body = bytearray()
        self.ended = threading.Event()

    def run(self) -> None:
        try:
            self._read()
        except BaseException as error:  # raised where the result is asked for
            self._error = error
        finally:
            self.ended.set()

    def result(self) -> bytes:
        if self._error is not None:
            raise self._error
        return bytes(self.body)

    def give_up(self) -> None:
        """End every connection, at whatever the thread may be waiting."""
        self._given_up = True
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()

    def _read(self) -> None:
        with _reasons(self._stall_s):
            agent = {"User-Agent": f"epochmark/{__version__}"}
            request = urllib.request.Request(self._url, headers=agent)
            with _opener(self._connect).open(request, timeout=self._stall_s) as response:
                self._read_body(response)

    def _connect(self, *arguments: Any, **options: Any) -> socket.socket:
        """A connection that ``give_up`` ends, whatever is wrapped around it later."""
        connection = socket.create_connection(*arguments, **options)
        self._connections.append(connection.dup())
        if self._given_up:
            self.give_up()
        return connection

    def _read_body(self, response: http.client.HTTPResponse) -> None:
        announced = response.headers.get("Content-Length")
        total = int(announced) if announced is not None else None
        if total is not None and total > self._limit:
            raise SourceError(f"{total} bytes announced, more than {self._limit}")
        what = f"Downloading {self._url}"
        self._progress(what, 0, total)
        while piece := response.read1(_PIECE_BYTES):
            self.body += piece
            if len(self.body) > self._limit:
                raise SourceError(f"more than {self._limit} bytes")
            if self._given_up:
                return
            self._progress(what, len(self.body), total)
        if total is not None and len(self.body) != total:
            raise SourceError(f"broken off after {len(self.body)} of {total} bytes")


@contextlib.contextmanager
def _reasons(stall_s: float) -> Iterator[None]:
    """What a request may raise, as ``SourceError``."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        raise SourceError(f"the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise SourceError(f"no connection ({error.reason})") from error
    except TimeoutError as error:
        raise SourceError(f"no answer for {stall_s:g} s") from error
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise SourceError(f"broken off ({error or type(error).__name__})") from error


class _HttpHandler(urllib.request.HTTPHandler):
    def __init__(self, connect: Callable[..., socket.socket]) -> None:
        super().__init__()
        self._connect = connect

    def http_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_connecting(http.client.HTTPConnection, self._connect), request)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def __init__(self, connect: Callable[..., socket.socket]) -> None:
        super().__init__()
        self._connect = connect

    def https_open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_connecting(http.client.HTTPSConnection, self._connect), request)


def _connecting(
    kind: type[http.client.HTTPConnection], connect: Callable[..., socket.socket]
) -> Any:
    """What makes connections of this kind, whose sockets come from ``connect``."""

    def make(*arguments: Any, **options: Any) -> http.client.HTTPConnection:
        connection = kind(*arguments, **options)
        connection._create_connection = connect  # type: ignore[attr-defined]
        return connection

    return make


def _opener(connect: Callable[..., socket.socket]) -> urllib.request.OpenerDirector:
    """Follows redirects and proxies, but only to http and https (urllib's own also does FTP)."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        _HttpHandler(connect),
        _HttpsHandler(connect),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
