"""The board as an ASGI application: its addresses, and what holds for every answer."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from epochmark.board.answers import json_refusal
from epochmark.board.api.badge import badge
from epochmark.board.api.cells import cells_csv
from epochmark.board.api.lists import list_decisions, list_published
from epochmark.board.api.results import delete_result, get_result, list_results, post_result
from epochmark.board.api.standing import standing_among
from epochmark.board.api.witness import post_nonce, post_witness
from epochmark.board.context import Context
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.pages.chip import chip
from epochmark.board.pages.compare import compare_results
from epochmark.board.pages.group import group
from epochmark.board.pages.lists import how, latest, log, published
from epochmark.board.pages.rendering import refusal_page, style_sheet
from epochmark.board.pages.result import result
from epochmark.board.pages.start import start
from epochmark.board.protocol import LOG_PATH, RESULTS_PATH, STANDING_PATH

HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
        b"base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"cross-origin"),
)
"""Of every answer: nothing may be run, and nothing loaded but the style sheet and pictures."""
_LOCAL = ("127.0.0.1", "localhost", "::1")

ROUTES = (
    Route("/", start),
    Route("/chip/{chip}", chip),
    Route("/group/{cell}", group),
    Route("/result/{id}", result),
    Route("/compare", compare_results),
    Route("/latest", latest),
    Route("/log", log),
    Route("/published", published),
    Route("/how", how),
    Route("/style.css", style_sheet),
    Route("/badge/{id}.svg", badge),
    Route(RESULTS_PATH, post_result, methods=["POST"]),
    Route(RESULTS_PATH, list_results, methods=["GET"]),
    Route(f"{RESULTS_PATH}/{{id}}", get_result, methods=["GET"]),
    Route(f"{RESULTS_PATH}/{{id}}", delete_result, methods=["DELETE"]),
    Route(f"{RESULTS_PATH}/{{id}}/nonce", post_nonce, methods=["POST"]),
    Route(f"{RESULTS_PATH}/{{id}}/witness", post_witness, methods=["POST"]),
    Route("/api/1/cells.csv", cells_csv),
    Route(STANDING_PATH, standing_among),
    Route(LOG_PATH, list_decisions),
    Route("/api/1/published", list_published),
)


def application(context: Context) -> ASGIApp:
    """The application that serves one board."""
    app = Starlette(
        routes=ROUTES,
        exception_handlers={
            RefusedError: _refused,
            HTTPException: _no_such_page,
            Exception: _broken,
        },
    )
    app.router.redirect_slashes = False
    app.state.board = context
    return _EveryAnswer(app, _hosts(context.settings.origin))


def _hosts(origin: str) -> frozenset[str]:
    """Host headers under which a board is asked: its own address; of a local board all names of
    this machine."""
    parts = urlsplit(origin)
    if parts.hostname not in _LOCAL:
        return frozenset({parts.netloc})
    port = "" if parts.port is None else f":{parts.port}"
    return frozenset(f"{f'[{name}]' if ':' in name else name}{port}" for name in _LOCAL)


class _EveryAnswer:
    """Refuse requests for another host; give every answer the board's headers."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str]) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *HEADERS]
            await send(message)

        asked = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(asked) != 1 or asked[0].lower() not in self._hosts:
            misdirected = RefusedError(421, "this board is not known by that name (Host header)")
            await json_refusal(misdirected)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    if request.url.path.startswith("/api/"):
        return json_refusal(error)
    return refusal_page(request, error)


def _no_such_page(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = {404: "there is no such page", 405: "this address takes no such request"}
    headers = dict(error.headers or {})
    refused = RefusedError(
        error.status_code, said.get(error.status_code, error.detail), (), headers
    )
    return _refused(request, refused)


def _broken(request: Request, error: Exception) -> Response:
    """A fault of ours, whose traceback is in the log."""
    return _refused(request, RefusedError(500, "the board has failed: its operator's log says why"))
