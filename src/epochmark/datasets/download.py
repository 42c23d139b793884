"""One bounded download over HTTP: no larger, no slower and no longer than it may be."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from dataclasses import dataclass

from epochmark import __version__
from epochmark.datasets.mnist import SourceError
from epochmark.datasets.progress import Progress

_PIECE_BYTES = 1 << 16


@dataclass(frozen=True)
class Patience:
    """Seconds to wait: for a connection or the next bytes, and for one whole file."""

    stall_s: float = 10.0
    total_s: float = 300.0


PATIENCE = Patience()


def download(url: str, limit: int, progress: Progress, patience: Patience) -> bytes:
    """The body behind ``url``, at most ``limit`` bytes, through the environment's proxies.

    It stays in memory, so that nothing is left behind by a failure or Ctrl-C. ``SourceError``
    says why there is none.
    """
    request = urllib.request.Request(url, headers={"User-Agent": f"epochmark/{__version__}"})
    deadline = time.monotonic() + patience.total_s
    try:
        with _opener().open(request, timeout=patience.stall_s) as response:
            return _read_body(response, limit, progress, deadline, f"Downloading {url}")
    except urllib.error.HTTPError as error:
        error.close()
        raise SourceError(f"the server answered {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise SourceError(f"no connection ({error.reason})") from error
    except TimeoutError as error:
        raise SourceError(f"no answer for {patience.stall_s:g} s") from error
    except (http.client.HTTPException, OSError, ValueError) as error:
        raise SourceError(f"broken off ({error or type(error).__name__})") from error


def _read_body(
    response: http.client.HTTPResponse, limit: int, progress: Progress, deadline: float, what: str
) -> bytes:
    announced = response.headers.get("Content-Length")
    total = int(announced) if announced is not None else None
    if total is not None and total > limit:
        raise SourceError(f"{total} bytes announced, more than {limit}")
    body = bytearray()
    progress(what, 0, total)
    while piece := response.read1(_PIECE_BYTES):
        body += piece
        if len(body) > limit:
            raise SourceError(f"more than {limit} bytes")
        if time.monotonic() > deadline:
            raise SourceError(f"took too long: {len(body)} bytes arrived in time")
        progress(what, len(body), total)
    if total is not None and len(body) != total:
        raise SourceError(f"broken off after {len(body)} of {total} bytes")
    return bytes(body)


def _opener() -> urllib.request.OpenerDirector:
    """Follows redirects and proxies, but only to http and https (urllib's own also does FTP)."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener
