"""``epochmark board serve``: run a board."""

from __future__ import annotations

from typing import Annotated

import typer

from epochmark.board.protocol import LOCAL_PORT
from epochmark.cli._guard import described
from epochmark.cli.commands.boards._database import DatabaseOption, opened_database


@described(
    """Serve a board until it is stopped, with SQLite or PostgreSQL.

    Its tables are brought to this version first.
    """
)
def serve(
    database: DatabaseOption = None,
    host: Annotated[
        str, typer.Option("--host", metavar="ADDRESS", help="Where to listen.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", metavar="N", help="Where to listen; 0 takes a free port.")
    ] = LOCAL_PORT,
    origin: Annotated[
        str | None,
        typer.Option(
            "--origin",
            metavar="URL",
            help="The address by which senders know it. Default: where it listens.",
            show_default=False,
        ),
    ] = None,
    trusted_proxy: Annotated[
        str,
        typer.Option(
            "--trusted-proxy",
            metavar="ADDRESSES",
            help="Reverse proxies whose X-Forwarded-For is believed, separated by commas.",
            show_default=False,
        ),
    ] = "",
    per_key: Annotated[
        int, typer.Option("--per-key", metavar="N", help="Results an hour from a key.")
    ] = 20,
    per_address: Annotated[
        int,
        typer.Option("--per-address", metavar="N", help="Requests an hour from an address."),
    ] = 60,
) -> None:
    opened = opened_database(database)
    from epochmark.board import server
    from epochmark.board.protocol import origin_of
    from epochmark.board.secret_file import own_secret
    from epochmark.board.settings import Settings, board_folder
    from epochmark.cli._console import say
    from epochmark.errors import EpochmarkError

    for name, most in (("--per-key", per_key), ("--per-address", per_address)):
        if most < 1:
            raise EpochmarkError(f"{name} {most} is out of range: at least 1", exit_code=2)
    with opened as board, server.listen(host, port) as listening:
        known_as = server.local_origin(listening) if origin is None else origin_of(origin)
        say(f"board at {known_as}; Ctrl-C stops it")
        address_key = own_secret(board_folder() / "address-key")
        settings = Settings(known_as, address_key, trusted_proxy, per_key, per_address)
        try:
            server.serve(settings, board, listening)
        except KeyboardInterrupt:
            say("stopped")
