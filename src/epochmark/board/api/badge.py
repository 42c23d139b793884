"""``/badge/ID.svg``: one result on a line, with its validity in it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.answers import answer
from epochmark.board.context import context_of, result_id_of, shown_result
from epochmark.report.figures import bare_seconds

LETTER_WIDTH = 6.7
"""Pixels of a letter, 11 pixels high, on the average."""
COLOURS = {"valid": "#00694f", "disturbed": "#8a5a00", "partial": "#8a5a00", "invalid": "#a83200"}


def badge(request: Request) -> Response:
    """The badge of a shown result."""
    result_id = result_id_of(request)
    with context_of(request).database.reading() as connection:
        found = shown_result(connection, result_id)
    return answer(request, _drawn(found).encode(), "image/svg+xml")


def _drawn(found: Any) -> str:
    """The engine, and the seconds of an epoch with how far to believe them."""
    from markupsafe import escape

    texts = (
        f"{found.workload} {found.engine}",
        f"{bare_seconds(found.steady_epoch_s)} s/epoch, {found.validity}",
    )
    split, end = (round(12 + LETTER_WIDTH * len(text)) for text in texts)
    left, right = map(escape, texts)
    colour = COLOURS[found.validity]
    style = 'font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" fill="#fff"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{split + end}" height="20" role="img">'
        f"<title>{left}: {right}</title>"
        f'<rect width="{split}" height="20" fill="#444b53"/>'
        f'<rect x="{split}" width="{end}" height="20" fill="{colour}"/>'
        f'<g {style} text-anchor="middle">'
        f'<text x="{split / 2:g}" y="14">{left}</text>'
        f'<text x="{split + end / 2:g}" y="14">{right}</text></g></svg>'
    )
