"""``/api/1/results/ID/nonce`` and ``/witness``: an extra replay that no one could know before."""

from __future__ import annotations

import hashlib

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.answers import json_answer
from epochmark.board.context import context_of, result_id_of
from epochmark.board.intake.address import address_of
from epochmark.board.intake.body import read_body
from epochmark.board.intake.signature import sender_of
from epochmark.board.intake.witness import draw, read_replay, witness
from epochmark.workloads._proof.witness import Occasion


async def post_nonce(request: Request) -> Response:
    """Draw a number for an extra replay of a result, for the key that sent it."""
    context, result_id = context_of(request), result_id_of(request)
    context.rates.count("address", address_of(request))
    key = sender_of(request.headers, "WITNESS", context.settings.origin, result_id)
    context.rates.count("key", key)
    drawn = await run_in_threadpool(draw, context.database, result_id, key)
    document = {"id": result_id, "nonce": drawn.nonce, "until": drawn.until}
    return json_answer(request, document, 201)


async def post_witness(request: Request) -> Response:
    """Take the losses of that replay: one is computed at a time."""
    context, result_id = context_of(request), result_id_of(request)
    context.rates.count("address", address_of(request))
    body, origin = await read_body(request), context.settings.origin
    key = sender_of(request.headers, "POST", origin, hashlib.sha256(body).hexdigest())
    context.rates.count("key", key)
    sent = read_replay(body)
    occasion = Occasion(origin, key, result_id, sent.nonce)
    async with context.replays:
        since = await run_in_threadpool(witness, context.database, occasion, sent.losses)
    return json_answer(request, {"id": result_id, "witnessed": since})
