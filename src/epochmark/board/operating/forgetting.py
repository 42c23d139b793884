"""Erase what is kept for a while only: hashes of addresses, and numbers drawn for extra replays."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator

import sqlalchemy as sa

from epochmark.board.storage.database import Database
from epochmark.board.storage.trust.confirmed import forget_addresses
from epochmark.board.storage.trust.witnessed import forget_nonces

EVERY_S = 3600.0


def forget(database: Database) -> None:
    """Erase what is too old."""
    with database.writing() as connection:
        forget_addresses(connection)
        forget_nonces(connection)


@contextlib.contextmanager
def forgetting(database: Database) -> Iterator[None]:
    """Do that now, and every hour for as long as the block lasts."""
    forget(database)
    ended = threading.Event()
    thread = threading.Thread(target=_forget_until, args=(database, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _forget_until(database: Database, ended: threading.Event) -> None:
    while not ended.wait(EVERY_S):
        try:
            forget(database)
        except sa.exc.DBAPIError:  # the next hour comes; the board goes on
            logging.getLogger(__name__).exception("what is too old could not be erased")
