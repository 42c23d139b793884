"""Derive stored results again, after an upgrade whose rules or names differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from epochmark._version import __version__
from epochmark.board.derived.figures import Figures, figures_of
from epochmark.board.intake.receive import recomputed
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.storage.database import Database
from epochmark.board.storage.moderation import MOST_LETTERS, decide
from epochmark.board.storage.results import (
    derived_by_others,
    document_of,
    keep_figures,
    rederive,
    result_by_id,
)

AT_A_TIME = 50
"""Results that are written in one transaction."""
Derived = Figures | RefusedError
"""What today's rules make of a document."""


def derive_again(database: Database) -> Iterator[tuple[str, str | None]]:
    """Derive whatever another version derived; yield each id, and why it is hidden now if it does
    not recompute any more. Interrupted, it goes on where it was.

    Only what has been computed is written, so that submissions do not wait for it.
    """
    after = 0
    while True:
        with database.reading() as connection:
            found = derived_by_others(connection, after, AT_A_TIME)
            computed = [(row.id, _derived(document_of(connection, row.number))) for row in found]
        if not found:
            return
        with database.writing() as connection:
            done = [
                (result_id, _write(connection, current, derived))
                for result_id, derived in computed
                if (current := _still_other(connection, result_id)) is not None
            ]
        yield from done
        after = found[-1].number


def _derived(document: bytes) -> Derived:
    try:
        return figures_of(recomputed(document))
    except RefusedError as refused:
        return refused


def _still_other(connection: sa.Connection, result_id: str) -> sa.Row[Any] | None:
    """A result as it is now; None where it was deleted or derived meanwhile."""
    found = result_by_id(connection, result_id)
    if found is None or found.state == "deleted" or found.derived_by == __version__:
        return None
    return found


def _write(connection: sa.Connection, found: sa.Row[Any], derived: Derived) -> str | None:
    if isinstance(derived, Figures):
        rederive(connection, found, derived)
        return None
    why = "; ".join((derived.sentence, *derived.problems))
    keep_figures(connection, found)
    if found.state != "hidden":
        decide(connection, "hidden", found.id, why[:MOST_LETTERS])
    return why
