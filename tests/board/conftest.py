"""Boards on both databases; one of each serves all tests of this folder that need nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.board import clusters
from tests.board.running import MANY, Board

KINDS = ("sqlite", "postgresql")
NewDatabase = Callable[[str], str]
"""The URL of an empty database of this kind."""


@pytest.fixture(scope="package")
def cluster() -> Iterator[clusters.Cluster]:
    with clusters.cluster() as running:
        yield running


@pytest.fixture(scope="package")
def new_database(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> NewDatabase:
    def make(kind: str) -> str:
        if kind == "sqlite":
            return f"sqlite:///{tmp_path_factory.mktemp('board') / 'board.sqlite3'}"
        if clusters.INITDB is None:
            pytest.skip("PostgreSQL is not installed")
        running: clusters.Cluster = request.getfixturevalue("cluster")
        return running.new_database()

    return make


@pytest.fixture(scope="package")
def shared_board(
    new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], Board]]:
    """The board on a database of this kind that all tests share: they name chips and senders of
    their own."""
    running: dict[str, Board] = {}

    def of_kind(kind: str) -> Board:
        if kind not in running:
            folder = tmp_path_factory.mktemp("shared")
            running[kind] = Board(folder, new_database(kind), *MANY)
        return running[kind]

    yield of_kind
    for board in running.values():
        assert board.stop() == 0, board.log.read_text()
        assert board.log.read_text() == "", "nothing is logged where nothing is broken"


@pytest.fixture(params=KINDS)
def board(request: pytest.FixtureRequest, shared_board: Callable[[str], Board]) -> Board:
    """A board on each database."""
    return shared_board(request.param)


@pytest.fixture
def sqlite_board(shared_board: Callable[[str], Board]) -> Board:
    """A board for what does not depend on the database."""
    return shared_board("sqlite")


@pytest.fixture(params=KINDS)
def empty_database(request: pytest.FixtureRequest, new_database: NewDatabase) -> str:
    return new_database(request.param)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Board]]:
    """Start a board on a database, with options; it is ended with the test."""
    started: list[Board] = []

    def begin(database: str, *options: str, port: int = 0) -> Board:
        started.append(Board(tmp_path / "board", database, *options, port=port))
        return started[-1]

    yield begin
    for board in started:
        if board.process.poll() is None:
            board.kill()
