"""Packages that only some commands need, and the command that installs them."""

from __future__ import annotations

import importlib.util

from epochmark.errors import EpochmarkError

MODULES = {
    "share": ("cryptography",),
    "board": (
        "alembic",
        "cryptography",
        "limits",
        "psycopg",
        "sqlalchemy",
        "starlette",
        "uvicorn",
    ),
}
"""By extra, what it brings."""


def need(extra: str) -> None:
    """Raise ``EpochmarkError`` (exit code 2) where a package of this extra is not installed."""
    missing = [name for name in MODULES[extra] if importlib.util.find_spec(name) is None]
    if missing:
        raise EpochmarkError(
            f"this needs {', '.join(missing)}; get it with: pip install 'epochmark[{extra}]'",
            exit_code=2,
        )
