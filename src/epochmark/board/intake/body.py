"""The body of a request: no larger, slower or deeper packed than it may be."""

from __future__ import annotations

import asyncio
import zlib

from starlette.requests import ClientDisconnect, Request

from epochmark.board.intake.refusal import RefusedError
from epochmark.board.protocol import MAX_DOCUMENT_BYTES, MAX_WIRE_BYTES

PATIENCE_S = 30.0
"""For a whole body; 1 MiB in that time is 280 kbit/s."""
_TOO_LARGE = f"the body has more than {MAX_WIRE_BYTES >> 20} MiB"


async def read_body(request: Request) -> bytes:
    """The body as it was sent. Raises ``RefusedError`` for a body that is too large, too slow,
    broken off, or said to be of another kind."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise RefusedError(415, "the body must be application/json")
    if request.headers.get("content-encoding", "gzip").lower() != "gzip":
        raise RefusedError(415, "the body may be packed with gzip, and in no other way")
    announced = request.headers.get("content-length", "0")
    if not (announced.isascii() and announced.isdigit()) or int(announced) > MAX_WIRE_BYTES:
        raise RefusedError(413, _TOO_LARGE)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await _read(request)
    except TimeoutError as error:
        raise RefusedError(408, f"the body took more than {PATIENCE_S:g} s") from error
    except ClientDisconnect as error:
        raise RefusedError(400, "the body was broken off") from error


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_WIRE_BYTES:
            raise RefusedError(413, _TOO_LARGE)
    return bytes(body)


def unpacked(body: bytes, encoding: str | None) -> bytes:
    """The document in a body, never more of it than a document may have. Raises
    ``RefusedError``."""
    if encoding is None:
        return body
    packed = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    try:
        document = packed.decompress(body, MAX_DOCUMENT_BYTES + 1)
    except zlib.error as error:
        raise RefusedError(400, "the body is not packed with gzip") from error
    if len(document) > MAX_DOCUMENT_BYTES:
        raise RefusedError(413, f"the document has more than {MAX_DOCUMENT_BYTES >> 20} MiB")
    if not packed.eof or packed.unused_data:
        raise RefusedError(400, "the body is packed with gzip, but is not one whole stream")
    return document
