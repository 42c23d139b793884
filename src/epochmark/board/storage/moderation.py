"""What an operator decides, in one transaction with the public log of it."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from epochmark.board.storage.results import State, hide_all_of, result_by_id, set_state
from epochmark.board.storage.tables import bans, decisions, results
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
    if not _KEY.fullmatch(key):
        raise EpochmarkError(
            f"{key!r} is not a key: it has 64 hexadecimal digits, as a result's page and "
            "'epochmark board held' show it",
            exit_code=2,
        )
    reason = _sentence(reason)
    connection.execute(bans.delete().where(bans.c.key == key))
    connection.execute(bans.insert().values(key=key, since=now(), reason=reason))
    count = hide_all_of(connection, key, reason)
    _log(connection, "ban", key, reason)
    return count


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
