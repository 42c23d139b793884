"""Listen, and serve a board until it is stopped."""

from __future__ import annotations

import ipaddress
import socket

import uvicorn
from threadpoolctl import threadpool_limits

from epochmark.board.application import application
from epochmark.board.connections import BoundedProtocol
from epochmark.board.context import Context
from epochmark.board.intake.rates import Rates
from epochmark.board.operating.forgetting import forgetting
from epochmark.board.settings import Settings
from epochmark.board.storage.database import Database
from epochmark.errors import EpochmarkError

MOST_CONNECTIONS = 100
"""At a time; more are answered 503."""
IDLE_S = 5
"""Seconds that a connection without a request is kept."""
LAST_REQUESTS_S = 10
"""Seconds for requests in progress when the board is stopped."""
MOST_HEADER_BYTES = 16 << 10


def listen(host: str, port: int) -> socket.socket:
    """A socket that takes connections. Raises ``EpochmarkError`` where there can be none."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=256)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or error
        raise EpochmarkError(
            f"nothing can listen on {host} port {port}: {why}. --host and --port name others",
            exit_code=2,
        ) from error


def local_origin(listening: socket.socket) -> str:
    """The address by which a board is known where no other is given. Raises ``EpochmarkError``
    (exit code 2) for a socket that listens on all addresses."""
    host, port = listening.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        raise EpochmarkError(
            f"a board that listens on {host} needs --origin: the address that senders sign for, "
            "such as https://board.example",
            exit_code=2,
        )
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}"


def serve(settings: Settings, database: Database, listening: socket.socket) -> None:
    """Answer requests until SIGINT or SIGTERM, which is raised again at the end."""
    # a replay on all cores would keep every other request waiting
    with forgetting(database), threadpool_limits(1, user_api="blas"):
        server_of(settings, database).run(sockets=[listening])


def server_of(settings: Settings, database: Database) -> uvicorn.Server:
    """What answers them."""
    rates = Rates(settings.per_key, settings.per_address)
    config = uvicorn.Config(
        application(Context(settings, database, rates)),
        http=BoundedProtocol,
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=settings.trusted_proxies,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=LAST_REQUESTS_S,
        h11_max_incomplete_event_size=MOST_HEADER_BYTES,
    )
    return uvicorn.Server(config)
