"""``/api/1/cells.csv``: what the results of each cell say together."""

from __future__ import annotations

import csv
import io

from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.answers import answer
from epochmark.board.context import (
    cell_asked,
    context_of,
    number_asked,
    refuse_unknown,
    text_asked,
)
from epochmark.board.storage.cells import all_cells
from epochmark.board.storage.tables import cells

COLUMNS = (*(column.name for column in cells.c), "share_valid")
FILTERS = ("chip",)
MOST_CELLS = 1000
"""In one answer."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def cells_csv(request: Request) -> Response:
    """A row for each cell under the names of its columns, a page at a time; the address of the
    next one is in the header ``Link``."""
    refuse_unknown(request, (*FILTERS, "after", "limit"))
    asked, after = text_asked(request, FILTERS), cell_asked(request)
    count = number_asked(request, "limit", MOST_CELLS) or MOST_CELLS
    with context_of(request).database.reading() as connection:
        found = all_cells(connection, asked, after, count + 1)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for cell in found[:count]:
        share = cell.valid / cell.runs
        rows.writerow([_harmless(value) for value in (*cell, round(share, 4))])
    response = answer(request, text.getvalue().encode(), "text/csv")
    if len(found) > count:
        following = request.url.include_query_params(after=found[count - 1].cell)
        response.headers["Link"] = f'<{request.url.path}?{following.query}>; rel="next"'
    return response


def _harmless(value: object) -> object:
    """Text that a spreadsheet would take for a formula, with an apostrophe before it."""
    if isinstance(value, str) and value.startswith(_FORMULA):
        return f"'{value}"
    return value
