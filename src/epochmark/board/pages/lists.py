"""The latest results, the operator's log, and how results are judged."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.context import (
    context_of,
    number_asked,
    query_of_next,
    rows_asked,
    text_asked,
)
from epochmark.board.intake.holding import SURPRISING
from epochmark.board.intake.witness import DEADLINE_S
from epochmark.board.pages.rendering import page
from epochmark.board.pages.start import way_of
from epochmark.board.storage.lists import log_of_decisions, shown_among, shown_results
from epochmark.board.storage.published import published_results
from epochmark.board.storage.tables import FILTERS
from epochmark.board.storage.trust.confirmed import ADDRESS_DAYS, AGREEMENT
from epochmark.board.storage.trust.words import words_of


def latest(request: Request) -> Response:
    """Results as they came in, newest first; the query narrows them as that of the API does."""
    asked = text_asked(request, FILTERS)
    before, count = number_asked(request, "before"), rows_asked(request)
    with context_of(request).database.reading() as connection:
        found = shown_results(connection, asked, before, count)
        words = words_of(connection, [row.number for row in found.rows])
    following = query_of_next(request, found)
    return page(
        request,
        "latest.html",
        page=found,
        next=following,
        way_of=way_of,
        asked=asked,
        words=words,
    )


def log(request: Request) -> Response:
    """What the operator held, hid, released, banned and unbanned, and why."""
    with context_of(request).database.reading() as connection:
        found = log_of_decisions(connection, number_asked(request, "before"), rows_asked(request))
        shown = shown_among(connection, {row.subject for row in found.rows})
    following = query_of_next(request, found)
    return page(request, "log.html", page=found, next=following, shown=shown, subject_of=_subject)


def _subject(decision: Any) -> str:
    """Whether a decision is about a result or a key."""
    return "key" if len(decision.subject) == 64 else "result"


def published(request: Request) -> Response:
    """Published results of other machines."""
    with context_of(request).database.reading() as connection:
        found = published_results(connection)
    return page(request, "published.html", found=found)


def how(request: Request) -> Response:
    """What the words on a result mean, and what none of them proves."""
    return page(
        request,
        "how.html",
        surprising=SURPRISING,
        agreement=AGREEMENT,
        address_days=ADDRESS_DAYS,
        minutes=DEADLINE_S // 60,
        settings=context_of(request).settings,
    )
