"""``/api/1/log``: what the operator decided; ``/api/1/published``: what others measured."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.answers import json_answer
from epochmark.board.context import context_of, number_asked, query_of_next, rows_asked
from epochmark.board.protocol import LOG_PATH
from epochmark.board.storage.lists import log_of_decisions
from epochmark.board.storage.published import published_results


def list_decisions(request: Request) -> Response:
    """Decisions, newest first; ``next`` is the address of the following ones."""
    with context_of(request).database.reading() as connection:
        page = log_of_decisions(connection, number_asked(request, "before"), rows_asked(request))
    following = query_of_next(request, page)
    document = {
        "decisions": [{**row._mapping} for row in page.rows],
        "next": None if following is None else f"{LOG_PATH}?{following}",
    }
    return json_answer(request, document)


def list_published(request: Request) -> Response:
    """Published results of other machines, which are not ranked."""
    with context_of(request).database.reading() as connection:
        found = published_results(connection)
    return json_answer(request, {"published": [{**row._mapping} for row in found]})
