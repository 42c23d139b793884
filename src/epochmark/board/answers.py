"""Answers to requests: bodies with their ETag, and errors as sentences."""

from __future__ import annotations

import hashlib

from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.intake.refusal import RefusedError
from epochmark.records.json_text import to_json


def answer(request: Request, content: bytes, media_type: str, status: int = 200) -> Response:
    """The content with an ETag, or 304 without it where the reader has it already."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    asked = request.headers.get("if-none-match", "")
    if status == 200 and etag in (tag.strip().removeprefix("W/") for tag in asked.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(content, status, headers, media_type)


def json_answer(request: Request, document: object, status: int = 200) -> Response:
    """A JSON document."""
    return answer(request, to_json(document) + b"\n", "application/json", status)


def json_refusal(refused: RefusedError) -> Response:
    """Why a request to the API is refused. The connection ends, so that what is left of a body is
    never read."""
    body = to_json({"error": refused.sentence, "problems": refused.problems}) + b"\n"
    headers = {**refused.headers, "Connection": "close"}
    return Response(body, refused.status, headers, "application/json")
