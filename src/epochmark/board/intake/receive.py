"""One result from its document to its place on the board."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from epochmark.board.derived.figures import figures_of
from epochmark.board.derived.todays import by_todays_rules
from epochmark.board.intake.holding import why_held
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.storage.cells import Standing, standing
from epochmark.board.storage.database import Database
from epochmark.board.storage.results import (
    Arrival,
    State,
    add_result,
    ban_reason,
    erase,
    result_by_digest,
    result_by_id,
)
from epochmark.judge.check import check_record, only_tests_the_tool
from epochmark.records.record import Record


@dataclass(frozen=True)
class Receipt:
    """What became of a result. ``is_new``: it was not here before. ``standing`` is its place among
    like machines, those of its ``cell``; None where it is not shown or not valid."""

    id: str
    digest: str
    state: State
    reason: str | None
    is_new: bool
    cell: str
    standing: Standing | None = None


def receive(
    database: Database, document: bytes, key: str | None, address: str | None = None
) -> Receipt:
    """Recompute a document and keep it, or say what has become of it since it was first sent.

    Of the operator's own imports ``key`` is None, and nothing is held. ``address`` is the keyed
    hash of the sender's. When this returns, the
    result is on disk. Raises ``RefusedError`` for what does not recompute (422), was deleted (410),
    carries another result's id (409), or comes from a banned key (403).
    """
    record = recomputed(document)
    figures = figures_of(record)
    with database.writing() as connection:
        _refuse_banned(connection, key)
        digest = str(record.digest)
        known = result_by_digest(connection, digest) or result_by_id(connection, record.id)
        if known is None:
            reason = None if key is None else why_held(connection, record, figures)
            state: State = "shown" if reason is None else "held"
            add_result(connection, record, figures, document, Arrival(key, state, reason, address))
            known = result_by_digest(connection, digest)
            assert known is not None, "it has just been put in"
            return _receipt(connection, known, is_new=True)
        return _known(connection, known, digest, key)


def recomputed(document: bytes) -> Record:
    """The record in a document by today's rules, if everything in it recomputes. Raises
    ``RefusedError`` (422)."""
    try:
        checked = check_record(document)
    except RecursionError as error:
        raise RefusedError(422, "the document is nested too deeply") from error
    if checked.record is None or checked.problems:
        raise RefusedError(422, "the record does not recompute", checked.problems)
    record = by_todays_rules(checked.record)
    if only_tests_the_tool(record):
        raise RefusedError(422, f"the engine {record.engine.name} only tests the tool")
    if record.headline.steady_epoch_s is None:
        raise RefusedError(422, "the run has no steady epoch, so there is nothing to show")
    return record


def delete(database: Database, result_id: str, key: str) -> None:
    """Erase a result that this key sent; one that is deleted stays so. Raises ``RefusedError`` for
    one that is not there (404) or was sent with another key (403)."""
    with database.writing() as connection:
        found = result_by_id(connection, result_id)
        if found is None:
            raise RefusedError(404, f"this board has no result {result_id}")
        if found.state == "deleted":
            return
        if found.key != key:
            raise RefusedError(403, "the result was sent with another key")
        erase(connection, found)


def _refuse_banned(connection: sa.Connection, key: str | None) -> None:
    reason = None if key is None else ban_reason(connection, key)
    if reason is not None:
        raise RefusedError(403, f"nothing is taken from this key any more: {reason}")


def _known(connection: sa.Connection, known: sa.Row[Any], digest: str, key: str | None) -> Receipt:
    """What to say of a result that is here, with this digest or another one of the same run, which
    stays as it was first sent. Only its sender learns about one that is not shown."""
    if known.state == "deleted":
        raise RefusedError(410, "this result was deleted by who sent it, and does not come back")
    if known.key != key and (known.state, known.digest) != ("shown", digest):
        raise RefusedError(409, f"this board has {known.id} already, from another sender")
    return _receipt(connection, known, is_new=False)


def _receipt(connection: sa.Connection, known: sa.Row[Any], *, is_new: bool) -> Receipt:
    place = None
    if known.state == "shown" and known.validity == "valid":
        place = standing(connection, known)
    return Receipt(known.id, known.digest, known.state, known.reason, is_new, known.cell, place)
