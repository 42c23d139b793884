"""``share --witness``: draw a number, and judge the extra replay that follows from it.

It costs a numpy computation of some tenths of a second, of which one is made at a time. Nothing is
started, and no framework is imported.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

import msgspec
import sqlalchemy as sa

from epochmark.analysis.timing.headline import is_known, workload_of
from epochmark.board.derived.todays import by_todays_rules
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.storage.database import Database
from epochmark.board.storage.results import document_of, result_by_id
from epochmark.board.storage.trust.witnessed import (
    add_nonce,
    keep_witness,
    nonce_called,
    use_nonce,
    witnessed_at,
)
from epochmark.judge.reading import decode_record
from epochmark.records.dates import moment, now
from epochmark.records.record import Record
from epochmark.workloads._proof.witness import (
    Occasion,
    can_be_witnessed,
    problem_of,
    right_losses,
)

DEADLINE_S = 600
"""For starting the engine, compiling and replaying, on a slow machine too."""
MOST_BYTES = 4 << 10


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a sender says of an extra replay."""

    nonce: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    losses: Annotated[list[float | None], msgspec.Meta(max_length=100)]


@dataclass(frozen=True)
class Drawn:
    """A number for an extra replay, and until when (UTC) its losses are taken."""

    nonce: str
    until: str


def draw(database: Database, result_id: str, key: str) -> Drawn:
    """A number for a result of this key. Raises ``RefusedError``: 403 for another sender's, 404 for
    one that is not there, 422 for a workload that this version does not know or cannot replay."""
    until = (moment(now()) + timedelta(seconds=DEADLINE_S)).strftime("%Y-%m-%dT%H:%M:%SZ")
    drawn = Drawn(secrets.token_hex(16), until)
    with database.writing() as connection:
        found = _own_result(connection, result_id, key)
        _record_of(connection, found.number)
        add_nonce(connection, drawn.nonce, found.number, key, until)
    return drawn


def read_replay(body: bytes) -> Replay:
    """The replay in a body. Raises ``RefusedError`` (400, 413)."""
    if len(body) > MOST_BYTES:
        raise RefusedError(413, f"losses take less than {MOST_BYTES >> 10} KiB")
    try:
        return msgspec.json.decode(body, type=Replay)
    except msgspec.MsgspecError as error:
        raise RefusedError(400, f"the body is no extra replay: {error}") from error


def witness(database: Database, occasion: Occasion, losses: list[float | None]) -> str:
    """Judge the losses that a sender computed; since when the result is witnessed.

    The number is used by that, whatever comes of it. Raises ``RefusedError``: 403, 404, 409 or 410
    for a number that is another's, not drawn, used or too late, 422 for wrong losses.
    """
    with database.writing() as connection:
        found = _own_result(connection, occasion.result_id, occasion.key)
        _check_nonce(nonce_called(connection, occasion.nonce), found.number, occasion.key)
        use_nonce(connection, occasion.nonce)
        record = _record_of(connection, found.number)
    workload = workload_of(record.workload)
    right = right_losses(workload, record.engine.adam_form, occasion)
    problem = problem_of(losses, right, record.precision.observed)
    if problem is not None:
        raise RefusedError(422, "the extra replay is wrong", (problem,))
    with database.writing() as connection:
        found = _own_result(connection, occasion.result_id, occasion.key)
        keep_witness(connection, found.number)
        return str(witnessed_at(connection, found.number))


def _own_result(connection: sa.Connection, result_id: str, key: str) -> sa.Row[Any]:
    found = result_by_id(connection, result_id)
    if found is None or found.state in ("hidden", "deleted"):
        raise RefusedError(404, f"this board has no result {result_id} to witness")
    if found.key != key:
        raise RefusedError(403, "the result was sent with another key")
    return found


def _check_nonce(drawn: sa.Row[Any] | None, number: int, key: str) -> None:
    if drawn is None:
        raise RefusedError(404, "this board drew no such number, or drew a newer one since")
    if (drawn.number, drawn.key) != (number, key):
        raise RefusedError(403, "this number was drawn for another result or key")
    if drawn.used:
        raise RefusedError(409, "this number was used already: ask for another one")
    if now() > drawn.until:
        raise RefusedError(410, f"the losses were due at {drawn.until}: ask for another number")


def _record_of(connection: sa.Connection, number: int) -> Record:
    return checked(by_todays_rules(decode_record(document_of(connection, number))))


def checked(record: Record) -> Record:
    """The record, if this board can compute its extra replay. Raises ``RefusedError`` (422)."""
    if not is_known(record.workload):
        raise RefusedError(422, f"this board does not know the workload {record.workload.name}")
    if not can_be_witnessed(workload_of(record.workload)):
        raise RefusedError(422, f"{record.workload.name} is too large for a board to replay")
    return record
