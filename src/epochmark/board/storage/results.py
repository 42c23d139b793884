"""Results by their id or digest: put in, found, moved from state to state, erased."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import sqlalchemy as sa

from epochmark._version import __version__
from epochmark.board.derived.figures import Figures
from epochmark.board.storage.database import Database
from epochmark.board.storage.keeping import owner_of, refresh
from epochmark.board.storage.tables import bans, documents, results
from epochmark.board.storage.trust.confirmed import confirm, keep_address, reconsider
from epochmark.board.storage.trust.tables import addresses, nonces, witnesses
from epochmark.records.dates import now
from epochmark.records.record import Record

DOCUMENTS_AT_A_TIME = 10
State = Literal["shown", "held", "hidden", "deleted"]
DERIVED = tuple(field.name for field in fields(Figures))
"""Columns that are derived of the document."""


CONFIRMED_BY = ("cell", "validity", "steady_epoch_s")
"""Those of them on which it depends whether results confirm each other."""


@dataclass(frozen=True)
class Arrival:
    """Who sent a result (None: the operator), its first state, the reason for that, and the keyed
    hash of the address that it came from."""

    key: str | None
    state: State
    reason: str | None
    address: str | None = None


def add_result(
    connection: sa.Connection,
    record: Record,
    figures: Figures,
    document: bytes,
    arrival: Arrival,
) -> None:
    """Put in a result that is not there."""
    added = connection.execute(
        results.insert().values(
            id=record.id,
            digest=record.digest,
            state=arrival.state,
            received=now(),
            key=arrival.key,
            reason=arrival.reason,
            derived_by=__version__,
            **asdict(figures),
        )
    )
    assert added.inserted_primary_key is not None, "a row has been put in"
    number = added.inserted_primary_key[0]
    connection.execute(
        documents.insert().values(number=number, document=zlib.compress(document, 6))
    )
    refresh(connection, figures.cell, arrival.key or record.id)
    if arrival.address is not None:
        keep_address(connection, number, arrival.address)
        confirm(connection, number)


def result_by_id(connection: sa.Connection, result_id: str) -> sa.Row[Any] | None:
    """A result in whatever state, without its document; None where there is none."""
    return connection.execute(sa.select(results).where(results.c.id == result_id)).one_or_none()


def result_by_digest(connection: sa.Connection, digest: str) -> sa.Row[Any] | None:
    """Likewise, by the digest of its content."""
    return connection.execute(sa.select(results).where(results.c.digest == digest)).one_or_none()


def document_of(connection: sa.Connection, number: int) -> bytes:
    """The document of a result that is not deleted."""
    chosen = sa.select(documents.c.document).where(documents.c.number == number)
    return zlib.decompress(connection.execute(chosen).scalar_one())


def shown_documents(database: Database) -> Iterator[bytes]:
    """The document of each shown result, newest first; of those that come in from now on, none.
    No transaction lasts longer than a few documents."""
    chosen = (
        sa.select(results.c.number, documents.c.document)
        .join(documents, documents.c.number == results.c.number)
        .where(results.c.state == "shown")
        .order_by(results.c.number.desc())
        .limit(DOCUMENTS_AT_A_TIME)
    )
    following = chosen
    while True:
        with database.reading() as connection:
            found = connection.execute(following).all()
        for row in found:
            yield zlib.decompress(row.document)
        if len(found) < DOCUMENTS_AT_A_TIME:
            return
        following = chosen.where(results.c.number < found[-1].number)


def set_state(
    connection: sa.Connection, found: sa.Row[Any], state: State, reason: str | None
) -> None:
    """Move a result that is not deleted to another state."""
    chosen = results.update().where(results.c.number == found.number)
    connection.execute(chosen.values(state=state, reason=reason))
    refresh(connection, found.cell, owner_of(found))
    reconsider(connection, [found.number])


def hide_all_of(connection: sa.Connection, key: str, reason: str) -> int:
    """Hide what is shown or held of a key; how many results."""
    chosen = (results.c.key == key, results.c.state.in_(("shown", "held")))
    of_cells = sa.select(results.c.cell).where(*chosen).distinct().order_by(results.c.cell)
    touched = connection.execute(of_cells).scalars().all()
    numbers = connection.execute(sa.select(results.c.number).where(*chosen)).scalars().all()
    hidden = results.update().where(*chosen).values(state="hidden", reason=reason)
    count = connection.execute(hidden).rowcount
    for cell in touched:
        refresh(connection, cell, key)
    reconsider(connection, numbers)
    return count


def erase(connection: sa.Connection, found: sa.Row[Any]) -> None:
    """Leave a tombstone of a result: its number, id, digest and dates, and nothing it was of."""
    empty = dict.fromkeys(("key", "reason", "derived_by", *DERIVED))
    connection.execute(documents.delete().where(documents.c.number == found.number))
    chosen = results.update().where(results.c.number == found.number)
    connection.execute(chosen.values(state="deleted", **empty))
    refresh(connection, found.cell, owner_of(found))
    for table in (addresses, nonces, witnesses):
        connection.execute(table.delete().where(table.c.number == found.number))
    reconsider(connection, [found.number])


def rederive(connection: sa.Connection, found: sa.Row[Any], figures: Figures) -> None:
    """Replace a result's figures by those that this version derives."""
    chosen = results.update().where(results.c.number == found.number)
    connection.execute(chosen.values(derived_by=__version__, **asdict(figures)))
    for cell in {found.cell, figures.cell}:
        refresh(connection, cell, owner_of(found))
    if any(found._mapping[name] != getattr(figures, name) for name in CONFIRMED_BY):
        reconsider(connection, [found.number])


def keep_figures(connection: sa.Connection, found: sa.Row[Any]) -> None:
    """Leave a result's figures as they are: this version derives none of it."""
    chosen = results.update().where(results.c.number == found.number)
    connection.execute(chosen.values(derived_by=__version__))


def derived_by_others(connection: sa.Connection, after: int, count: int) -> list[sa.Row[Any]]:
    """At most ``count`` results whose figures another version derived, above a number."""
    chosen = sa.select(results).where(
        results.c.number > after, results.c.state != "deleted", results.c.derived_by != __version__
    )
    return [*connection.execute(chosen.order_by(results.c.number).limit(count))]


def ban_reason(connection: sa.Connection, key: str) -> str | None:
    """Why nothing is taken from a key; None where it is not banned."""
    return connection.execute(sa.select(bans.c.reason).where(bans.c.key == key)).scalar()
