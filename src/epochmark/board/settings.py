"""How a board is run: the address it is known by, what it keeps results in, how much it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from epochmark.folders import user_folder

FOLDER_VARIABLE = "EPOCHMARK_BOARD"


@dataclass(frozen=True)
class Settings:
    """``origin``: the address that senders sign for. ``trusted_proxies``: addresses, separated by
    commas, whose ``X-Forwarded-For`` header is believed. Limits are requests in an hour. With the
    ``address_key`` addresses are hashed before they are kept."""

    origin: str
    address_key: bytes
    trusted_proxies: str = ""
    per_key: int = 20
    per_address: int = 60


def board_folder() -> Path:
    """The folder named by ``EPOCHMARK_BOARD``, else ``board`` in the user's data folder."""
    return user_folder(FOLDER_VARIABLE, "board")


def default_database() -> str:
    """The URL of an SQLite file in that folder, which is made if it is not there."""
    folder = board_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'board.sqlite3'}"
