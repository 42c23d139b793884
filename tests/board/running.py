"""A board as its operator starts it, and requests as they travel."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import http.client
import json
import os
import re
import select
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message
from typer.testing import CliRunner, Result

from epochmark.board.client.identity import Identity
from epochmark.board.protocol import RESULTS_PATH
from epochmark.cli import app
from epochmark.records.json_text import to_json
from epochmark.records.record import Record
from tests.pipeline.program import COMMAND

MANY = ("--per-key", "1000000", "--per-address", "1000000")
TIMEOUT_S = 60


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


class Board:
    """A board in a process of its own, on a free port."""

    def __init__(self, folder: Path, database: str, *options: str, port: int = 0) -> None:
        self.database = database
        self.log = folder / "stderr.txt"
        folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*COMMAND, "board", "serve", "--port", str(port), "--database", database, *options],
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, "EPOCHMARK_BOARD": str(folder)},
            )
        try:
            self.origin = self._address_said()
        except BaseException:
            self.kill()
            raise

    def _address_said(self) -> str:
        """The address that the first line names, which must come in time."""
        stdout = self.process.stdout
        assert stdout is not None
        ready, _, _ = select.select([stdout], [], [], TIMEOUT_S)
        said = re.match(r"board at (\S+);", stdout.readline().decode() if ready else "")
        assert said, self.log.read_text() or f"the board said nothing in {TIMEOUT_S} s"
        return said[1]

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """The answer to a request; a Host header replaces the right one."""
        connection = http.client.HTTPConnection(self.address, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {**answer.headers}, answer.read())
        finally:
            connection.close()

    @property
    def address(self) -> str:
        """Host and port where it listens."""
        listens = re.search(r":\d+$", self.origin)
        return f"127.0.0.1{listens[0]}" if listens else urlsplit(self.origin).netloc

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, headers)

    def post(self, document: bytes, sender: Identity, **headers: str) -> Answer:
        """A document, packed and signed as the client does it."""
        body = gzip.compress(document, mtime=0)
        signature = sender.headers("POST", hashlib.sha256(body).hexdigest())
        kind = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        return self.ask("POST", RESULTS_PATH, body, {**kind, **signature, **headers})

    def send(self, record: Record, sender: Identity) -> Answer:
        """The copy of a record that leaves for this board."""
        return self.post(to_json(sender.copy_of(record)), sender)

    def delete(self, result_id: str, sender: Identity) -> Answer:
        headers = sender.headers("DELETE", result_id)
        return self.ask("DELETE", f"{RESULTS_PATH}/{result_id}", None, headers)

    def sender(self, name: str = "someone") -> Identity:
        """Whoever has this name, as this board knows them."""
        return Identity(self.origin, hashlib.sha256(name.encode()).digest())

    def stop(self) -> int:
        """As Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        return self._ended()

    def kill(self) -> None:
        self.process.kill()
        self._ended()

    def _ended(self) -> int:
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(TIMEOUT_S)


def asked(app: ASGIApp, address: str, host: str) -> Answer:
    """What a board in this process answers to a GET."""
    parts = urlsplit(address)
    scope = {
        "type": "http", "method": "GET", "path": parts.path, "query_string": parts.query.encode(),
        "headers": [(b"host", host.encode())], "root_path": "", "scheme": "http",
        "server": (host, 80), "http_version": "1.1",
    }  # fmt: skip
    said: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        said.append(message)

    async def ask() -> None:
        await app(scope, receive, send)

    asyncio.run(ask())
    return Answer(said[0]["status"], Headers(raw=said[0]["headers"]), said[1]["body"])


def operate(database: str, *words: str) -> Result:
    """``epochmark board WORDS`` on this database."""
    return CliRunner().invoke(app, ["board", *words, "--database", database])
