"""The page that compares two or more results: their figures, ratios where there are any, and what
else differs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from epochmark.analysis.comparing.comparison import Comparison, Side, compare, side_of_record
from epochmark.board.context import context_of, shown_result
from epochmark.board.derived.todays import by_todays_rules
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.pages.rendering import page
from epochmark.board.pages.start import way_of
from epochmark.board.storage.results import document_of
from epochmark.judge.reading import decode_record
from epochmark.report.text.comparison import verdict_text

MOST = 6
_ID = re.compile(r"[0-9a-f]{12}")


@dataclass(frozen=True)
class Compared:
    """One of the results; ``percent`` is the length of its bar, of the slowest one's."""

    found: Any
    letter: str
    way: str
    percent: float


@dataclass(frozen=True)
class Pair:
    """Two of the results: the sentence, what forbids it, and what may explain it."""

    sentence: str
    comparison: Comparison


def compare_results(request: Request) -> Response:
    """The page of the results that ``id`` names, two to six times. With fewer it asks for more.
    Raises ``RefusedError``: 400 for too many, 404 and 410 for what is not shown."""
    asked = dict.fromkeys(part.strip() for part in request.query_params.getlist("id"))
    ids = [part for part in asked if part]
    if len(ids) > MOST:
        raise RefusedError(400, f"{len(ids)} results are too many to compare: at most {MOST}")
    with context_of(request).database.reading() as connection:
        found = [_shown(connection, result_id) for result_id in ids]
        sides = [
            _side(connection, row, letter) for row, letter in zip(found, "ABCDEF", strict=False)
        ]
    pairs = [_pair(*two) for two in combinations(sides, 2)]
    slowest = max((row.steady_epoch_s for row in found), default=1.0)
    return page(
        request,
        "compare.html",
        compared=[
            Compared(row, letter, way_of(row), 100 * row.steady_epoch_s / slowest)
            for row, letter in zip(found, "ABCDEF", strict=False)
        ],
        pairs=[pair for pair in pairs if pair.comparison.ratio is not None],
        apart=[pair for pair in pairs if pair.comparison.ratio is None],
        most=MOST,
    )


def _shown(connection: sa.Connection, result_id: str) -> sa.Row[Any]:
    if not _ID.fullmatch(result_id):
        raise RefusedError(404, "this board has no result of that name")
    return shown_result(connection, result_id)


def _side(connection: sa.Connection, row: sa.Row[Any], letter: str) -> Side:
    record = by_todays_rules(decode_record(document_of(connection, row.number)))
    return side_of_record(record, letter)


def _pair(first: Side, other: Side) -> Pair:
    comparison = compare(first, other)
    return Pair(verdict_text(comparison), comparison)
