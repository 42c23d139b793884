"""Many plausible results for a board, put in below the check.

Documents are made from a real record (``tests/board/records.py``), of as many chips, engines and
versions as a board would have; each passes the check. Rows take them in turn, popular chips more
often, and their figures differ by a few percent: so documents are real, and several rows share one.
What the board keeps of cells is counted by its own code at the end.
"""

from __future__ import annotations

import hashlib
import random
import time
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
import sqlalchemy as sa

from epochmark._version import __version__
from epochmark.board.derived.figures import Figures, figures_of
from epochmark.board.operating.transfer import import_published
from epochmark.board.storage.database import Database
from epochmark.board.storage.keeping import count_again
from epochmark.board.storage.tables import cells, decisions, documents, results
from epochmark.board.storage.trust.tables import addresses
from epochmark.records.json_text import to_json
from epochmark.records.record import Record
from tests.board.records import judged, native, torch

BATCH = 20_000
DECISIONS = 2_000
KEPT_SINCE = "2026-09"
"""Of results from then on the address is not forgotten yet; they may confirm others."""
CPUS = [
    *(f"AMD Ryzen {tier} {number}X" for tier in (5, 7, 9) for number in range(3600, 9999, 400)),
    *(f"Intel Core i{tier}-{number}K" for tier in (5, 7, 9) for number in range(8400, 15000, 300)),
    *(f"AMD EPYC {number}" for number in range(7251, 9755, 50)),
    *(f"Intel(R) Xeon(R) Gold {number} CPU @ 2.60GHz" for number in range(5115, 6555, 30)),
]
GPUS = [
    *(f"NVIDIA GeForce RTX {number}" for number in range(2050, 5100, 10)),
    *("Tesla T4", "Tesla V100-SXM2-16GB", "NVIDIA A100-SXM4-40GB", "NVIDIA L4", "NVIDIA H200"),
]
VERSIONS = ("2.9.0", "2.10.1", "2.11.0", "2.12.1", "2.13.0")
VALIDITIES = (["valid"] * 88) + (["disturbed"] * 8) + ["partial"] * 2 + ["invalid"] * 2
STATES = (["shown"] * 97) + ["hidden"] * 2 + ["held"]
_FIGURES = (
    "steady_epoch_s", "steady_epoch_low_s", "steady_epoch_high_s", "samples_per_s", "elapsed_s",
)  # fmt: skip


@dataclass(frozen=True)
class Document:
    """A record with what the board derives of it and stores."""

    record: Record
    figures: Figures
    packed: bytes


def documents_of(count: int) -> list[Document]:
    """As many documents, the same every time."""
    return [_document(number) for number in range(count)]


def _document(number: int) -> Document:
    choice = random.Random(number)
    step_s = 0.002 * 40 ** choice.random()
    kind = choice.random()
    if kind < 0.4:
        gpu = choice.choice(GPUS)
        record = torch(number, gpu=gpu, step_s=step_s, version=choice.choice(VERSIONS))
    elif kind < 0.7:
        record = torch(number, step_s=step_s, version=choice.choice(VERSIONS))
    else:
        record = native(number, step_s=step_s)
    machine = msgspec.structs.replace(record.machine, cpu=choice.choice(CPUS))
    record = judged(msgspec.structs.replace(record, machine=machine))
    return Document(record, figures_of(record), zlib.compress(to_json(record), 6))


def fill(database: Database, rows: int, count: int) -> list[Document]:
    """Bring a board to as many results, from where it is; the documents that they are made of."""
    started = time.perf_counter()
    made = documents_of(count)
    print(f"{count:,} documents made in {time.perf_counter() - started:.0f} s", flush=True)
    with database.reading() as connection:
        there = connection.execute(sa.select(sa.func.max(results.c.number))).scalar() or 0
    keys = [
        hashlib.sha256(f"key {number}".encode()).hexdigest() for number in range(1 + rows // 20)
    ]
    for first in range(there + 1, rows + 1, BATCH):
        numbers = range(first, min(first + BATCH, rows + 1))
        with database.writing() as connection:
            _put(connection, [*_rows(numbers, made, keys)])
        print(f"{numbers[-1]:,} results after {time.perf_counter() - started:.0f} s", flush=True)
    with database.writing() as connection:
        if rows > there or connection.execute(sa.select(cells.c.cell).limit(1)).first() is None:
            _finish(connection, made)
    import_published(database)
    return made


def _rows(
    numbers: range, made: list[Document], keys: list[str]
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Rows of ``results`` and ``documents`` with these numbers."""
    for number in numbers:
        choice = random.Random(number)
        document = made[int(len(made) * choice.random() ** 2.5)]
        figures = asdict(document.figures)
        times = choice.lognormvariate(0, 0.04)
        for name in _FIGURES:
            if figures[name] is not None:
                figures[name] *= 1 / times if name == "samples_per_s" else times
        name = hashlib.sha256(f"result {number}".encode()).hexdigest()
        state = choice.choice(STATES)
        yield (
            {
                "number": number, "id": name[:12], "digest": name[::-1], "state": state,
                "received": f"2026-{1 + number % 12:02d}-{1 + number % 28:02d}T12:00:00Z",
                "key": None if choice.random() < 0.05 else choice.choice(keys),
                "reason": None if state == "shown" else "it surprises",
                "derived_by": __version__, **figures, "validity": choice.choice(VALIDITIES),
            },
            {"number": number, "document": document.packed},
        )  # fmt: skip


def _put(connection: sa.Connection, rows: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA cache_size = -500000")  # indexes of random ids
    connection.execute(results.insert(), [row for row, _ in rows])
    connection.execute(documents.insert(), [document for _, document in rows])
    kept = [
        {"number": row["number"], "address": row["key"][:32], "received": row["received"]}
        for row, _ in rows
        if row["key"] and row["received"] >= KEPT_SINCE
    ]
    connection.execute(addresses.insert(), kept)


def _finish(connection: sa.Connection, made: list[Document]) -> None:
    """What only has to be done once all rows are there."""
    started = time.perf_counter()
    count_again(connection)
    print(f"cells counted in {time.perf_counter() - started:.0f} s", flush=True)
    decided = {"at": "2026-11-29T12:00:00Z", "action": "hide", "reason": "a made-up chip"}
    rows = [{**decided, "subject": f"{number:012x}"} for number in range(DECISIONS)]
    connection.execute(decisions.delete())
    connection.execute(decisions.insert(), rows)
    if connection.dialect.name == "postgresql":
        last = sa.select(sa.func.max(results.c.number)).scalar_subquery()
        sequence = sa.func.pg_get_serial_sequence("results", "number")
        connection.execute(sa.select(sa.func.setval(sequence, last)))


def gigabytes(database: Database, url: str) -> float:
    """What the board takes on disk."""
    with database.reading() as connection:
        if connection.dialect.name == "sqlite":
            pages, size = (
                connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("page_count", "page_size")
            )
            return float(pages * size / 1e9)
        name = sa.make_url(url).database
        size = connection.execute(sa.select(sa.func.pg_database_size(name))).scalar_one()
    return float(size / 1e9)
