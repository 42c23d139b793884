"""The database that a command about a board works on."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from epochmark.board.storage.database import Database

DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME. Default: an SQLite file in "
        "the user's data folder.",
        show_default=False,
    ),
]


def opened_database(url: str | None) -> contextlib.closing[Database]:
    """The database at this URL, or the user's own; closed with the block. Raises
    ``EpochmarkError`` where it cannot be opened, and without the packages of a board."""
    from epochmark.cli.commands.boards._extras import need

    need("board")
    from epochmark.board.settings import default_database
    from epochmark.board.storage.database import Database

    return contextlib.closing(Database(url or default_database()))
