"""One request to a board: bounded in time and size, through the environment's proxies, and never
redirected, since it is signed for one address."""

from __future__ import annotations

import http.client
import threading
import urllib.error
import urllib.request
from typing import Any

from epochmark._version import __version__
from epochmark.errors import EpochmarkError
from epochmark.records.json_text import RecordError, parsed

STALL_S = 20.0
"""Seconds for a connection, or for the next byte."""
TOTAL_S = 90.0
"""Seconds for a whole request."""
MAX_ANSWER_BYTES = 1 << 20


class _LostError(Exception):
    """There is no whole answer; the message says why."""


def answer_to(method: str, url: str, headers: dict[str, str], body: bytes | None) -> dict[str, Any]:
    """What the board answers, if it does what it was asked to.

    Raises ``EpochmarkError`` with the board's own words where it refuses, and says whether
    repeating makes sense where there is no answer.
    """
    headers = {"User-Agent": f"epochmark/{__version__}", "Accept": "application/json", **headers}
    request = urllib.request.Request(url, body, headers, method=method)
    found: list[tuple[int, bytes] | Exception] = []
    # in a thread, since a server that sends a byte now and then is never caught by a time limit for
    # the next one
    thread = threading.Thread(target=_ask, args=(request, found), daemon=True)
    thread.start()
    thread.join(TOTAL_S)
    result = found[0] if found else _LostError(f"no whole answer within {TOTAL_S:g} s")
    if isinstance(result, _LostError):
        raise EpochmarkError(
            f"{request.host} did not answer: {result}. Whether the request arrived is unknown; "
            "the same command again is safe"
        ) from result
    if isinstance(result, Exception):
        raise result
    return _read(request.host, *result)


def _read(host: str, status: int, content: bytes) -> dict[str, Any]:
    try:
        document = parsed(content)
    except RecordError:
        document = None
    if not isinstance(document, dict):
        raise EpochmarkError(f"{host} is no board: it answered {status} without JSON")
    if 200 <= status < 300:
        return document
    problems = document.get("problems")
    listed = problems if isinstance(problems, list) else []
    said = [str(document.get("error", "no reason")), *(f"  - {problem}" for problem in listed)]
    raise EpochmarkError("\n".join([f"{host} refused ({status}): {said[0]}", *said[1:]]))


def _ask(request: urllib.request.Request, found: list[tuple[int, bytes] | Exception]) -> None:
    try:
        found.append(_asked(request))
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        found.append(_LostError(str(reason) or type(error).__name__))
    except Exception as error:  # raised where the answer is waited for
        found.append(error)


def _asked(request: urllib.request.Request) -> tuple[int, bytes]:
    """Status and body, whatever the status."""
    with _opener().open(request, timeout=STALL_S) as response:
        content = response.read(MAX_ANSWER_BYTES + 1)
        if len(content) > MAX_ANSWER_BYTES:
            raise _LostError(f"it sent more than {MAX_ANSWER_BYTES >> 20} MiB")
        return response.status, content


def _opener() -> urllib.request.OpenerDirector:
    """Only http and https; without what follows redirects and what raises for a status."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
    ):
        opener.add_handler(handler)
    return opener
