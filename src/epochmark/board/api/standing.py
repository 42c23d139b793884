"""``/api/1/standing``: how fast the machines with a chip are, for a run that is not sent."""

from __future__ import annotations

import difflib
from typing import Any

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.answers import json_answer
from epochmark.board.context import context_of, text_asked
from epochmark.board.derived.hardware import usual_name
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.protocol import KEY_PARTS
from epochmark.board.storage.cells import cells_with, owners_at
from epochmark.board.storage.chips import chips_called, common_chips

MOST_CELLS = 20
"""Kinds of hardware with one chip that are answered, those with most owners."""
MOST_QUANTILES = 101
"""Of a cell with more owners, those at each percent of the way from the fastest."""
MOST_KEYS = 100
"""Cells of the chip, those with most owners, of which other keys are named."""
MOST_NAMES = 300
"""Chips, those with most owners, among whose names near ones are looked for."""
NEAR = 5


def standing_among(request: Request) -> Response:
    """Cells of a chip under one comparability key, and the other keys that there are of it.

    Raises ``RefusedError``: 400 for a query without a chip, 404 with near names for a chip without
    results, 409 for a name that several chips share.
    """
    asked = text_asked(request, ("chip", *KEY_PARTS))
    name = usual_name(asked.pop("chip", "").strip())
    if not name:
        raise RefusedError(400, "the query names no chip")
    with context_of(request).database.reading() as connection:
        chip = _chip_called(connection, name)
        key = {**_NO_KEY, **asked}
        alike = cells_with(connection, {"chip_name": chip, **key}, MOST_CELLS)
        answered = [
            {**cell._mapping, "quantiles_s": owners_at(connection, cell.cell, MOST_QUANTILES)}
            for cell in alike
            if cell.owners
        ]
        popular = cells_with(connection, {"chip_name": chip}, MOST_KEYS)
    keys = [_key(cell) for cell in popular if cell.owners and _key(cell) != key]
    others = [other for number, other in enumerate(keys) if other not in keys[:number]]
    return json_answer(request, {"chip": chip, "cells": answered, "other_keys": others[:NEAR]})


_NO_KEY = dict.fromkeys(KEY_PARTS, "")


def _key(cell: Any) -> dict[str, str]:
    return {name: cell._mapping[name] for name in KEY_PARTS}


def _chip_called(connection: sa.Connection, name: str) -> str:
    found = chips_called(connection, name)
    if len(found) == 1:
        return found[0]
    if found:
        raise RefusedError(409, f"{name} may be any of these: {', '.join(found[:NEAR])}")
    near = _near(name, common_chips(connection, MOST_NAMES))
    like = f"; names like it: {', '.join(near)}" if near else ""
    raise RefusedError(404, f"this board has no results of a chip called {name!r}{like}")


def _near(name: str, names: list[str]) -> list[str]:
    """Those that contain the name or are contained in it, then those spelt alike."""
    lower = {known.lower(): known for known in names}
    typed = name.lower()
    parts = [known for known in lower if typed in known or known in typed]
    close = difflib.get_close_matches(typed, lower, NEAR, 0.5)
    return [lower[known] for known in dict.fromkeys([*parts, *close])][:NEAR]
