"""The page of a chip: its hardware and ways to train, how runs are spread, and the runs."""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.context import context_of, number_asked, query_of_next, text_asked
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.pages.rendering import page
from epochmark.board.pages.spread import spread_of
from epochmark.board.pages.start import way_of
from epochmark.board.storage.cells import cells_with
from epochmark.board.storage.chips import chips_alike
from epochmark.board.storage.lists import shown_results
from epochmark.board.storage.trust.words import words_of

RUNS = 50
MOST_DRAWN = 8
"""Cells that are drawn, those with most owners."""
MOST_CELLS = 50
"""Drawn or named; ``cells.csv`` has the others."""
_SLUG = re.compile(r"[a-z0-9-]{1,60}")


def chip(request: Request) -> Response:
    """The page; a choice where several chips share the address and the query names none of them.
    Raises ``RefusedError`` (404) for a chip without results."""
    slug = str(request.path_params["chip"])
    asked = text_asked(request, ("name",)).get("name")
    with context_of(request).database.reading() as connection:
        names = chips_alike(connection, slug) if _SLUG.fullmatch(slug) else []
        if not names or asked not in (None, *names):
            raise RefusedError(404, "this board has no results of such a chip")
        if asked is None and len(names) > 1:
            return page(request, "chips.html", slug=slug, names=names)
        name = asked or names[0]
        found = cells_with(connection, {"chip_name": name}, MOST_CELLS + 1)
        cells = found[:MOST_CELLS]
        drawn = [cell for cell in cells if cell.valid][:MOST_DRAWN]
        spreads = [spread_of(connection, cell) for cell in drawn]
        equal = {"chip": slug} if len(names) == 1 else {"chip": slug, "chip_name": name}
        runs = shown_results(connection, equal, number_asked(request, "before"), RUNS)
        words = words_of(connection, [run.number for run in runs.rows])
    return page(
        request,
        "chip.html",
        name=name,
        spreads=spreads,
        others=[cell for cell in cells if cell not in drawn],
        more=slug if len(found) > MOST_CELLS else None,
        page=runs,
        next=query_of_next(request, runs),
        way_of=way_of,
        words=words,
    )
