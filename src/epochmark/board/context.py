"""What every request needs: the board's settings, its database, its counts of requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from starlette.requests import Request

from epochmark.board.intake.rates import Rates
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.settings import Settings
from epochmark.board.storage.database import Database
from epochmark.board.storage.lists import MOST_ROWS, Page
from epochmark.board.storage.results import result_by_id

CHECKS = 2
"""Documents that are checked at a time."""
_ID = re.compile(r"[0-9a-f]{12}")
_CELL = re.compile(r"[0-9a-f]{16}")
MOST_NUMBER = 2**62
"""Of a row: larger ones are no numbers of either database."""


@dataclass(frozen=True)
class Context:
    """One running board."""

    settings: Settings
    database: Database
    rates: Rates
    checks: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(CHECKS))
    """What bounds the memory that documents take while they are checked."""
    replays: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    """Extra replays are computed one at a time."""


def context_of(request: Request) -> Context:
    """The board that a request came to."""
    context: Context = request.app.state.board
    return context


def result_id_of(request: Request) -> str:
    """The id in a path. Raises ``RefusedError`` (404) for what is none."""
    text = str(request.path_params["id"])
    if not _ID.fullmatch(text):
        raise RefusedError(404, "this board has no result of that name")
    return text


def shown_result(connection: sa.Connection, result_id: str) -> sa.Row[Any]:
    """A result that everyone may see. Raises ``RefusedError``: 404 for what is not shown, 410 for
    what was deleted."""
    found = result_by_id(connection, result_id)
    if found is None or found.state in ("held", "hidden"):
        raise RefusedError(404, f"this board shows no result {result_id}")
    if found.state == "deleted":
        raise RefusedError(410, "this result was deleted by who sent it")
    return found


def text_asked(request: Request, names: Container[str]) -> dict[str, str]:
    """Those parts of the query that have these names. Raises ``RefusedError`` (400) for what no
    record can hold."""
    asked = {name: value for name, value in request.query_params.items() if name in names}
    for name, value in asked.items():
        if not value.isprintable():
            raise RefusedError(400, f"{name} has letters that cannot be printed")
    return asked


def refuse_unknown(request: Request, known: Sequence[str]) -> None:
    """Raise ``RefusedError`` (400) where the query has a part of another name."""
    for name in request.query_params:
        if name not in known:
            raise RefusedError(400, f"there is no filter {name!r}; there are: {', '.join(known)}")


def cell_asked(request: Request) -> str | None:
    """``after`` of the query, the last cell seen. Raises ``RefusedError`` (400) for no cell."""
    cell = request.query_params.get("after")
    if cell is not None and not _CELL.fullmatch(cell):
        raise RefusedError(400, "after takes the name of a cell, 16 hexadecimal digits")
    return cell


def number_asked(request: Request, name: str, most: int = MOST_NUMBER) -> int | None:
    """A whole number of the query, 1 to ``most``; None where it is not there. Raises
    ``RefusedError`` (400) for what is none."""
    text = request.query_params.get(name)
    if text is None:
        return None
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    if not 1 <= number <= most:
        raise RefusedError(400, f"{name} takes a whole number from 1 to {most}")
    return number


def query_of_next(request: Request, page: Page) -> str | None:
    """The query of a list's following page, which has all that was asked for; None for the last."""
    if page.before is None:
        return None
    return str(request.url.include_query_params(before=page.before).query)


def rows_asked(request: Request) -> int:
    """``limit`` of the query."""
    return number_asked(request, "limit", MOST_ROWS) or MOST_ROWS // 2
