"""``/api/1/cells.csv``: what the results of each cell say together."""

from __future__ import annotations

import csv
import io

from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.answers import answer
from epochmark.board.context import context_of
from epochmark.board.storage.cells import all_cells
from epochmark.board.storage.tables import cells

COLUMNS = (*(column.name for column in cells.c), "share_valid")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cells_csv(request: Request) -> Response:
    """A row for each cell, fastest first, under the names of its columns."""
    with context_of(request).database.reading() as connection:
        found = all_cells(connection)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for cell in found:
        share = cell.valid / cell.runs
        rows.writerow([_harmless(value) for value in (*cell, round(share, 4))])
    return answer(request, text.getvalue().encode(), "text/csv")


def _harmless(value: object) -> object:
    """Text that a spreadsheet would take for a formula, with an apostrophe before it."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
