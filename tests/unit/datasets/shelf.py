"""A server of MNIST on this machine, and what the cache holds afterwards."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

from epochmark.datasets.cache import cache_folder


def quiet(what: str, done: int, total: int | None) -> None:
    pass


class Shelf(BaseHTTPRequestHandler):
    """Serves what ``files`` holds by path; ``meeting`` and ``stall`` hold answers back."""

    files: ClassVar[Mapping[str, bytes]] = {}
    meeting: ClassVar[threading.Barrier | None] = None
    stall: ClassVar[threading.Event | None] = None
    reached: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        content = self.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        if self.meeting is not None:
            self.meeting.wait(60)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.stall is not None:
            self.wfile.write(content[:1000])
            self.reached.set()
            self.stall.wait(60)
            return
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def only_mnist_in_cache() -> bool:
    return [path.name for path in cache_folder().parent.iterdir()] == ["mnist"]
