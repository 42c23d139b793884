"""A board's database, SQLite or PostgreSQL: opened, brought to the newest tables, written alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.util import CommandError

from epochmark.board.storage.keeping import count_again
from epochmark.errors import EpochmarkError

KINDS = ("sqlite", "postgresql+psycopg")
_WRITERS = 8_321
"""The number of the lock that writers of a PostgreSQL board take, any that nothing else uses."""
WAIT_S = 30
"""Seconds that a writer of SQLite waits for another."""


class Database:
    """Connections to a board's database.

    Writers wait for each other: there are a few in a second, and whether a result is new, held or
    deleted, and what its cell says, follows from all the others.
    """

    def __init__(self, url: str) -> None:
        """Connect. Raises ``EpochmarkError`` for a URL of another kind of database, and for one
        that does not answer, is no board's, forbids it, or is of a newer version."""
        try:
            parsed = sa.make_url(url)
        except sa.exc.ArgumentError as error:
            raise EpochmarkError(_wrong(url), exit_code=2) from error
        if parsed.drivername not in KINDS or not parsed.database:
            raise EpochmarkError(_wrong(parsed.render_as_string()), exit_code=2)
        self._is_sqlite = parsed.drivername == "sqlite"
        self._engine = sa.create_engine(
            parsed, pool_pre_ping=not self._is_sqlite, hide_parameters=True
        )
        self._one_state = {} if self._is_sqlite else {"isolation_level": "REPEATABLE READ"}
        if self._is_sqlite:
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
            sa.event.listen(self._engine, "begin", _begin_sqlite)
        try:
            self._migrate()
        except (sa.exc.DBAPIError, CommandError) as error:
            self.close()
            where = parsed.render_as_string()
            raise EpochmarkError(f"{where} cannot be opened: {_why(error)}") from error
        except BaseException:
            self.close()
            raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that sees one state of the database."""
        with self._engine.execution_options(**self._one_state).connect() as connection:
            yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction alone among writers; what it wrote is on disk when it has ended."""
        with self._engine.execution_options(writing=True).begin() as connection:
            if not self._is_sqlite:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_WRITERS)))
            yield connection

    def close(self) -> None:
        """End all connections."""
        self._engine.dispose()

    def _migrate(self) -> None:
        """Lead the tables to the newest version, with what is in them. Where that changes any, all
        that is kept of cells is counted again: migrations need not know how."""
        config = Config()
        config.set_main_option("script_location", "epochmark:board/storage/migrations")
        config.set_main_option("path_separator", "os")
        with self.writing() as connection:
            config.attributes["connection"] = connection
            before = MigrationContext.configure(connection).get_current_revision()
            command.upgrade(config, "head")
            if MigrationContext.configure(connection).get_current_revision() != before:
                count_again(connection)


def _prepare_sqlite(connection: Any, record: object) -> None:
    """Readers never wait for a writer; a commit is on disk before it is acknowledged."""
    connection.isolation_level = None  # transactions begin where ``_begin_sqlite`` says
    for pragma in ("journal_mode = WAL", "synchronous = FULL", f"busy_timeout = {1000 * WAIT_S}"):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: sa.Connection) -> None:
    """A writer locks at once: one that locks later fails if another wrote in between."""
    writing = connection.get_execution_options().get("writing")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _why(error: sa.exc.DBAPIError | CommandError) -> str:
    """Why a database cannot be opened, and what to do."""
    if isinstance(error, CommandError):
        return "it was made by a newer version of epochmark: upgrade this one"
    said = str(error.orig).partition("\n")[0]
    return f"{said}. It must be a board's own, and its user may make tables: --database names it"


def _wrong(url: str) -> str:
    return f"--database takes sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME, not {url!r}"
