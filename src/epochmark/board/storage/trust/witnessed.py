"""*witnessed*: the numbers that a board drew for extra replays, and the results that made them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import sqlalchemy as sa

from epochmark.board.storage.trust.tables import nonces, witnesses
from epochmark.records.dates import moment, now

NONCE_DAYS = 1
"""So long after its deadline a number is erased: until then, what is wrong with it can be said."""


def add_nonce(connection: sa.Connection, nonce: str, number: int, key: str, until: str) -> None:
    """Note a number drawn for a result; an earlier one of it that was not used is erased."""
    unused = (nonces.c.number == number, nonces.c.used.is_(False))
    connection.execute(nonces.delete().where(*unused))
    values = {"nonce": nonce, "number": number, "key": key, "until": until, "used": False}
    connection.execute(nonces.insert().values(**values))


def nonce_called(connection: sa.Connection, nonce: str) -> sa.Row[Any] | None:
    """A number that was drawn, with ``number``, ``key``, ``until`` and ``used``; None where it was
    not, or is forgotten."""
    return connection.execute(sa.select(nonces).where(nonces.c.nonce == nonce)).one_or_none()


def use_nonce(connection: sa.Connection, nonce: str) -> None:
    """From now on it is used, whatever comes of it."""
    connection.execute(nonces.update().where(nonces.c.nonce == nonce).values(used=True))


def keep_witness(connection: sa.Connection, number: int) -> None:
    """A result's extra replay was right."""
    connection.execute(witnesses.delete().where(witnesses.c.number == number))
    connection.execute(witnesses.insert().values(number=number, at=now()))


def witnessed_at(connection: sa.Connection, number: int) -> str | None:
    """When a result's extra replay was found right; None where there was none."""
    chosen = sa.select(witnesses.c.at).where(witnesses.c.number == number)
    return connection.execute(chosen).scalar()


def forget_nonces(connection: sa.Connection) -> int:
    """Erase numbers whose deadline is long past; how many."""
    oldest = moment(now()) - timedelta(days=NONCE_DAYS)
    text = oldest.strftime("%Y-%m-%dT%H:%M:%SZ")
    return connection.execute(nonces.delete().where(nonces.c.until < text)).rowcount
