"""What an operator decides, in one transaction with the public log of it."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from epochmark.board.storage.results import (
    State,
    ban_reason,
    hide_all_of,
    result_by_id,
    set_state,
)
from epochmark.board.storage.tables import bans, decisions, results
from epochmark.board.storage.trust.confirmed import confirming
from epochmark.board.storage.trust.witnessed import witnessed_at
from epochmark.board.storage.trust.words import words_of
from epochmark.errors import EpochmarkError
from epochmark.records.dates import now
from epochmark.report.plain_text import plain

_KEY = re.compile(r"[0-9a-f]{64}")
MOST_LETTERS = 500
"""Of a reason."""
_ID = re.compile(r"[0-9a-f]{12}")


def decide(connection: sa.Connection, state: State, result_id: str, reason: str) -> None:
    """Hold, hide or show a result. Raises ``EpochmarkError`` (exit code 2) where there is none."""
    found = result_by_id(connection, result_id) if _ID.fullmatch(result_id) else None
    if found is None or found.state == "deleted":
        raise EpochmarkError(f"this board has no result {result_id!r}", exit_code=2)
    reason = _sentence(reason)
    set_state(connection, found, state, reason)
    action = {"held": "hold", "hidden": "hide", "shown": "release"}[state]
    _log(connection, action, result_id, reason)


def ban(connection: sa.Connection, key: str, reason: str) -> int:
    """Take nothing from a key any more, and hide what is shown or held of it; how many results.

    Raises ``EpochmarkError`` (exit code 2) for what is no key.
    """
    _check_key(key)
    reason = _sentence(reason)
    connection.execute(bans.delete().where(bans.c.key == key))
    connection.execute(bans.insert().values(key=key, since=now(), reason=reason))
    count = hide_all_of(connection, key, reason)
    _log(connection, "ban", key, reason)
    return count


def unban(connection: sa.Connection, key: str, reason: str) -> int:
    """Take results of a key again; how many of it stay hidden until each is released.

    Raises ``EpochmarkError`` (exit code 2) for what is no key, and for one that is not banned.
    """
    _check_key(key)
    reason = _sentence(reason)
    if not connection.execute(bans.delete().where(bans.c.key == key)).rowcount:
        raise EpochmarkError(f"{key[:8]} is not banned", exit_code=2)
    _log(connection, "unban", key, reason)
    hidden = sa.select(sa.func.count()).where(results.c.key == key, results.c.state == "hidden")
    return int(connection.execute(hidden).scalar_one())


def result_in_full(connection: sa.Connection, result_id: str) -> dict[str, Any]:
    """All that a board has of a result in whatever state, but its document: ``words``, by which
    results it is ``confirmed``, since when ``witnessed``, whether its key is ``banned``, and the
    ``decisions`` about it, newest first. Raises ``EpochmarkError`` (exit code 2) where there is
    none."""
    found = result_by_id(connection, result_id) if _ID.fullmatch(result_id) else None
    if found is None:
        raise EpochmarkError(f"this board has no result {result_id!r}", exit_code=2)
    shown = found.state == "shown"
    chosen = sa.select(decisions).where(decisions.c.subject == result_id)
    about = connection.execute(chosen.order_by(decisions.c.number.desc()))
    return {
        **found._mapping,
        "words": words_of(connection, [found.number])[found.number] if shown else (),
        "confirmed": confirming(connection, found.number),
        "witnessed": witnessed_at(connection, found.number),
        "banned": None if found.key is None else ban_reason(connection, found.key),
        "decisions": [{**row._mapping} for row in about],
    }


def _check_key(key: str) -> None:
    if not _KEY.fullmatch(key):
        raise EpochmarkError(
            f"{key!r} is not a key: it has 64 hexadecimal digits, as a result's page and "
            "'epochmark board held' show it",
            exit_code=2,
        )


def _sentence(reason: str) -> str:
    """A reason that can be shown on one line. Raises ``EpochmarkError`` (exit code 2) for none."""
    reason = " ".join(plain(reason).split())
    if not 1 <= len(reason) <= MOST_LETTERS:
        raise EpochmarkError(f"--reason takes 1 to {MOST_LETTERS} letters", exit_code=2)
    return reason


def waiting(connection: sa.Connection) -> list[sa.Row[Any]]:
    """Held results, oldest first, with the reason and the key that sent them."""
    names = ("id", "received", "hardware", "engine", "key", "reason")
    chosen = sa.select(*(results.c[name] for name in names)).where(results.c.state == "held")
    return [*connection.execute(chosen.order_by(results.c.number))]


def _log(connection: sa.Connection, action: str, subject: str, reason: str) -> None:
    values = {"at": now(), "action": action, "subject": subject, "reason": reason}
    connection.execute(decisions.insert().values(**values))
