"""The words that a board puts on shown results."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa

from epochmark.board.storage.trust.tables import confirmations, witnesses

CHECKED = "checked"
"""Of each result that is shown."""
_BESIDES = {"witnessed": witnesses, "confirmed": confirmations}


def words_of(connection: sa.Connection, numbers: Collection[int]) -> dict[int, tuple[str, ...]]:
    """The words on each of these results."""
    words: dict[int, tuple[str, ...]] = dict.fromkeys(numbers, (CHECKED,))
    for word, table in _BESIDES.items():
        chosen = sa.select(table.c.number).where(table.c.number.in_(numbers))
        for number in connection.execute(chosen).scalars():
            words[number] += (word,)
    return words
