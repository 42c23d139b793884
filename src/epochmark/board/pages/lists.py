"""The latest results, the operator's log, and how results are judged."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.context import context_of, number_asked, query_of_next, rows_asked
from epochmark.board.intake.holding import SURPRISING
from epochmark.board.pages.rendering import page
from epochmark.board.pages.start import way_of
from epochmark.board.storage.lists import log_of_decisions, shown_results


def latest(request: Request) -> Response:
    """Results as they came in, newest first."""
    with context_of(request).database.reading() as connection:
        found = shown_results(connection, {}, number_asked(request, "before"), rows_asked(request))
    return page(
        request, "latest.html", page=found, next=query_of_next(request, found), way_of=way_of
    )


def log(request: Request) -> Response:
    """What the operator held, hid, released and banned, and why."""
    with context_of(request).database.reading() as connection:
        found = log_of_decisions(connection, number_asked(request, "before"), rows_asked(request))
    return page(request, "log.html", page=found, next=query_of_next(request, found))


def how(request: Request) -> Response:
    """What the words on a result mean, and what none of them proves."""
    return page(request, "how.html", surprising=SURPRISING, settings=context_of(request).settings)
