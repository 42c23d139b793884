"""Derive stored results again, after an upgrade whose rules or names differ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from epochmark.board.derived.figures import figures_of
from epochmark.board.intake.receive import recomputed
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.storage.database import Database
from epochmark.board.storage.moderation import MOST_LETTERS, decide
from epochmark.board.storage.results import (
    derived_by_others,
    document_of,
    keep_figures,
    rederive,
)

AT_A_TIME = 50
"""Results in one transaction, between which submissions are taken."""


def derive_again(database: Database) -> Iterator[tuple[str, str | None]]:
    """Derive whatever another version derived; yield each id, and why it is hidden now if it does
    not recompute any more. Interrupted, it goes on where it was."""
    after = 0
    while True:
        with database.writing() as connection:
            found = derived_by_others(connection, after, AT_A_TIME)
            done = [(row.id, _derive(connection, row)) for row in found]
        yield from done
        if not found:
            return
        after = found[-1].number


def _derive(connection: sa.Connection, found: sa.Row[Any]) -> str | None:
    try:
        record = recomputed(document_of(connection, found.number))
    except RefusedError as refused:
        why = "; ".join((refused.sentence, *refused.problems))
        keep_figures(connection, found)
        if found.state != "hidden":
            decide(connection, "hidden", found.id, why[:MOST_LETTERS])
        return why
    rederive(connection, found, figures_of(record))
    return None
