"""A board with a million results: how large, how fast, in how much memory?

``PYTHONPATH=. python benchmarks/board_million.py --database URL [--rows N]``, from the
repository's root.
Fills the board (interrupted, it goes on where it was), starts it as its operator does, asks for
every kind of page one after the other (the server's CPU time for each), and then for
``--seconds``: 20 requests a second over all of them, and 5 submissions a second through the whole
check, signed with many keys behind forwarded addresses. Times run from when a request was due, so
that a late one counts in full. Prints p50 and p95 of each kind, the server's memory, and the time
it took to start.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import random
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import sqlalchemy as sa
from _board_rows import Document, fill, gigabytes

from epochmark.board.client.identity import Identity
from epochmark.board.protocol import KEY_PARTS, RESULTS_PATH, STANDING_PATH
from epochmark.board.storage.database import Database
from epochmark.board.storage.tables import FILTERS, cells, results
from epochmark.records.json_text import to_json
from tests.board.running import Board

READS_PER_S, SENDS_PER_S = 20, 5
ONE_BY_ONE = 20
"""Requests of each kind for its CPU time."""
OF_A_KEY = 4
"""Submissions."""
SENDERS = 32
"""Requests that may be under way at a time."""
SENDING = "POST a result"
UNKNOWN = "standing, no chip"
ANSWERED = {SENDING: 201, UNKNOWN: 404}
"""Statuses that are no failures; of all others 200."""
Paths = dict[str, list[str]]


@dataclass
class Times:
    """Milliseconds of one kind of request, and the answers that were none."""

    ms: list[float] = field(default_factory=list)
    refused: int = 0

    def line(self, cpu_ms: float | None) -> str:
        if not self.ms:
            return "none"
        ordered = sorted(self.ms)
        p50, p95 = (ordered[int(share * (len(ordered) - 1))] for share in (0.5, 0.95))
        cpu = "     -" if cpu_ms is None else f"{cpu_ms:6.1f}"
        return f"{len(self.ms):6} {p50:8.1f} {p95:8.1f} {cpu} {self.refused or '':>6}"


def paths_of(database: Database) -> Paths:
    """Addresses of every kind of page and list: popular and rare, first and later pages."""
    choice = random.Random(1)
    with database.reading() as connection:
        last = connection.execute(sa.select(sa.func.max(results.c.number))).scalar_one()
        names = ("id", "chip_name", *KEY_PARTS, *FILTERS)
        some = sa.select(*(results.c[name] for name in dict.fromkeys(names))).where(
            results.c.number.in_(choice.choices(range(1, last + 1), k=200)),
            results.c.state == "shown",
            results.c.key.is_not(None),
        )
        rows = connection.execute(some).all()
        largest = connection.execute(
            sa.select(cells).order_by(cells.c.owners.desc()).limit(5)
        ).all()
    deep = f"before={last // 2}"
    filtered = [f"{RESULTS_PATH}?{name}={getattr(row, name)}" for row in rows for name in FILTERS]
    two = [
        f"{RESULTS_PATH}?{first}={getattr(row, first)}&{second}={getattr(row, second)}"
        for row in rows
        for first, second in (choice.sample(FILTERS, 2),)
    ]
    return {
        "start": ["/", "/?device=gpu", "/?device=cpu"],
        "start, later page": [f"/?device=cpu&after={row.cell}" for row in rows],
        "chip": [f"/chip/{row.chip}" for row in rows],
        "chip, the largest": [f"/chip/{row.chip}" for row in largest],
        "chip, later page": [f"/chip/{row.chip}?{deep}" for row in rows],
        "group": [f"/group/{row.cell}" for row in rows],
        "group, a result": [f"/group/{row.cell}?run={row.id}" for row in rows],
        "group, the largest": [f"/group/{row.cell}" for row in largest],
        "group, later page": [f"/group/{row.cell}?from={1 + row.owners // 2}" for row in largest],
        "result": [f"/result/{row.id}" for row in rows],
        "compare": [f"/compare?id={a.id}&id={b.id}" for a, b in pairwise(rows)],
        "published": ["/published"],
        "latest": ["/latest", "/latest?limit=100"],
        "latest, later page": [f"/latest?{deep}"],
        "log": ["/log"],
        "how": ["/how"],
        "style": ["/style.css"],
        "badge": [f"/badge/{row.id}.svg" for row in rows],
        "list": [f"{RESULTS_PATH}?limit=100", f"{RESULTS_PATH}?{deep}"],
        "list, a filter": [path.replace(" ", "%20") for path in filtered],
        "list, two filters": [path.replace(" ", "%20") for path in two],
        "record": [f"{RESULTS_PATH}/{row.id}" for row in rows],
        "standing": [f"{STANDING_PATH}?{chip_and_key(row)}" for row in (*largest, *rows[:50])],
        UNKNOWN: [f"{STANDING_PATH}?chip=RTX%20{number}1" for number in range(300, 400)],
        "cells.csv": ["/api/1/cells.csv"],
        "cells.csv of a chip": [f"/api/1/cells.csv?chip={row.chip}" for row in rows],
    }


def chip_and_key(row: sa.Row[Any]) -> str:
    """The query of where a run stands among the machines with a chip."""
    return urlencode({name: getattr(row, name) for name in KEY_PARTS} | {"chip": row.chip_name})


Sending = Callable[[], int]


def submissions(board: Board, made: list[Document], count: int) -> Iterator[Sending]:
    """Signed copies of records, a few from each key and address; each gives its status."""
    unique = time.time_ns()
    for number in range(count):
        who = number // OF_A_KEY
        sender = Identity(board.origin, hashlib.sha256(f"{unique} {who}".encode()).digest())
        document = to_json(sender.copy_of(made[number % len(made)].record))
        address = f"10.{who >> 16 & 255}.{who >> 8 & 255}.{who & 255}"

        def send(document: bytes = document, sender: Identity = sender, to: str = address) -> int:
            return board.post(document, sender, **{"X-Forwarded-For": to}).status

        yield send


def cpu_of(board: Board, work: dict[str, list[Sending]]) -> dict[str, float]:
    """Milliseconds of the server's CPU time for a request of each kind."""
    process, found = psutil.Process(board.process.pid), {}
    for kind, requests in work.items():
        requests[0]()
        before = process.cpu_times()
        for number in range(1, ONE_BY_ONE + 1):
            requests[number % len(requests)]()
        after = process.cpu_times()
        used = after.user + after.system - before.user - before.system
        found[kind] = 1000 * used / ONE_BY_ONE
    return found


def reading(board: Board, path: str) -> Sending:
    return lambda: board.get(path).status


def load(reads: dict[str, list[Sending]], sends: list[Sending]) -> dict[str, Times]:
    """Ask and send at the rates above until all submissions are sent."""
    choice, times = random.Random(2), {kind: Times() for kind in (*reads, SENDING)}
    started = time.perf_counter()

    def do(kind: str, due: float, work: Sending) -> None:
        status = work()
        times[kind].ms.append(1000 * (time.perf_counter() - due))
        times[kind].refused += status != ANSWERED.get(kind, 200)

    every = READS_PER_S // SENDS_PER_S
    with ThreadPoolExecutor(SENDERS) as threads:
        for number in range(every * len(sends)):
            due = started + number / READS_PER_S
            time.sleep(max(0.0, due - time.perf_counter()))
            kind = choice.choice([*reads])
            threads.submit(do, kind, due, choice.choice(reads[kind]))
            if number % every == 0:
                threads.submit(do, SENDING, due, sends[number // every])
    return times


def peak_mb(board: Board) -> float:
    """The most memory that the server has had."""
    status = Path(f"/proc/{board.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found, status
    return int(found[1]) / 1024


def measure(url: str, made: list[Document], paths: Paths, seconds: int) -> None:
    """Start the board, ask, send, and print what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        board = Board(Path(folder), url, "--trusted-proxy", "127.0.0.1")
        start_s = time.perf_counter() - started
        used = psutil.Process(board.process.pid).cpu_times()
        print(f"started in {start_s:.1f} s, {used.user + used.system:.1f} s of CPU", flush=True)
        try:
            count = seconds * SENDS_PER_S
            sends = [*submissions(board, made, count + ONE_BY_ONE + 1)]
            reads = {kind: [reading(board, path) for path in of] for kind, of in paths.items()}
            cpu = cpu_of(board, {**reads, SENDING: sends[count:]})
            times = load(reads, sends[:count])
            print(f"{'':<20} {'count':>6} {'p50 ms':>8} {'p95 ms':>8} {'CPU ms':>6} {'failed':>6}")
            for kind, measured in times.items():
                print(f"{kind:<20} {measured.line(cpu.get(kind))}")
            print(f"the server has had {peak_mb(board):.0f} MB at most")
        finally:
            board.stop()
        print(board.log.read_text(), end="")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--database", required=True, metavar="URL")
    parser.add_argument("--rows", type=int, default=1_000_000, metavar="N")
    parser.add_argument("--documents", type=int, default=5_000, metavar="N")
    parser.add_argument("--seconds", type=int, default=200, help="1,000 submissions in 200 s")
    asked = parser.parse_args()
    with contextlib.closing(Database(asked.database)) as database:
        made = fill(database, asked.rows, asked.documents)
        print(f"{asked.rows:,} results take {gigabytes(database, asked.database):.2f} GB")
        paths = paths_of(database)
    measure(asked.database, made, paths, asked.seconds)


if __name__ == "__main__":
    main()
