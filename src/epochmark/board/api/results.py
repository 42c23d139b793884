"""``/api/1/results``: send, list, read and delete results."""

from __future__ import annotations

import hashlib
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.answers import json_answer
from epochmark.board.context import (
    Context,
    context_of,
    number_asked,
    query_of_next,
    refuse_unknown,
    result_id_of,
    rows_asked,
    shown_result,
    text_asked,
)
from epochmark.board.intake.address import address_of, hashed
from epochmark.board.intake.body import read_body, unpacked
from epochmark.board.intake.receive import Receipt, delete, receive
from epochmark.board.intake.signature import sender_of
from epochmark.board.protocol import RESULTS_PATH
from epochmark.board.storage.cells import Standing
from epochmark.board.storage.lists import LISTED, shown_results
from epochmark.board.storage.results import document_of
from epochmark.board.storage.tables import FILTERS
from epochmark.board.storage.trust.words import words_of
from epochmark.records.json_text import parsed


async def post_result(request: Request) -> Response:
    """Take a result: counted, bounded, its signature checked, and only then unpacked and read."""
    context = context_of(request)
    address = address_of(request)
    context.rates.count("address", address)
    body = await read_body(request)
    origin = context.settings.origin
    key = sender_of(request.headers, "POST", origin, hashlib.sha256(body).hexdigest())
    context.rates.count("key", key)
    encoding = request.headers.get("content-encoding")
    kept = hashed(address, context.settings.address_key)
    async with context.checks:
        receipt = await run_in_threadpool(_receive, context, body, encoding, (key, kept))
    return json_answer(request, _receipt_document(context, receipt), 201 if receipt.is_new else 200)


def _receive(
    context: Context, body: bytes, encoding: str | None, sender: tuple[str, str | None]
) -> Receipt:
    return receive(context.database, unpacked(body, encoding), *sender)


def _receipt_document(context: Context, receipt: Receipt) -> dict[str, object]:
    place = receipt.standing
    return {
        "id": receipt.id,
        "digest": receipt.digest,
        "state": receipt.state,
        "reason": receipt.reason,
        "url": f"{context.settings.origin}/result/{receipt.id}",
        "standing": None if place is None else _standing_document(context, receipt, place),
    }


def _standing_document(context: Context, receipt: Receipt, place: Standing) -> dict[str, object]:
    return {
        "slower": place.slower,
        "others": place.others,
        "url": f"{context.settings.origin}/group/{receipt.cell}?run={receipt.id}",
    }


def delete_result(request: Request) -> Response:
    """Erase a result for the key that sent it."""
    context = context_of(request)
    context.rates.count("address", address_of(request))
    result_id = result_id_of(request)
    key = sender_of(request.headers, "DELETE", context.settings.origin, result_id)
    delete(context.database, result_id, key)
    return json_answer(request, {"id": result_id, "state": "deleted"})


def list_results(request: Request) -> Response:
    """Shown results, newest first; ``next`` is the address of the following ones."""
    refuse_unknown(request, (*FILTERS, "before", "limit"))
    asked = text_asked(request, FILTERS)
    count = rows_asked(request)
    with context_of(request).database.reading() as connection:
        page = shown_results(connection, asked, number_asked(request, "before"), count)
        words = words_of(connection, [row.number for row in page.rows])
    following = query_of_next(request, page)
    return json_answer(
        request,
        {
            "results": [{**row._mapping, "words": words[row.number]} for row in page.rows],
            "next": None if following is None else f"{RESULTS_PATH}?{following}",
        },
    )


def get_result(request: Request) -> Response:
    """One shown result: what the board derived, and the record as it was sent."""
    result_id = result_id_of(request)
    with context_of(request).database.reading() as connection:
        found = shown_result(connection, result_id)
        document = document_of(connection, found.number)
        words = words_of(connection, [found.number])[found.number]
    derived: dict[str, Any] = {name: found._mapping[name] for name in LISTED}
    return json_answer(request, {**derived, "words": words, "record": parsed(document)})
