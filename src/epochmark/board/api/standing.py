"""``/api/1/standing``: how fast the machines with a chip are, for a run that is not sent."""

from __future__ import annotations

import difflib
import statistics
from typing import Any

import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from epochmark.board.answers import json_answer
from epochmark.board.context import context_of, text_asked
from epochmark.board.derived.hardware import usual_name
from epochmark.board.intake.refusal import RefusedError
from epochmark.board.protocol import KEY_PARTS
from epochmark.board.storage.cells import all_cells, seconds_by_owner
from epochmark.board.storage.chips import chip_names, chips_called

MOST_CELLS = 20
"""Kinds of hardware with one chip that are answered, those with most owners."""
MOST_QUANTILES = 101
"""Of a cell with more owners, the owners at each percent of the way from the fastest."""
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
        cells = [cell for cell in all_cells(connection, chip_name=chip) if cell.owners]
        cells.sort(key=lambda cell: -cell.owners)
        alike = [cell for cell in cells if _key(cell) == {**_NO_KEY, **asked}]
        answered = [
            {**cell._mapping, "quantiles_s": _quantiles(connection, cell.cell)}
            for cell in alike[:MOST_CELLS]
        ]
    keys = [_key(cell) for cell in cells if cell not in alike]
    others = [key for number, key in enumerate(keys) if key not in keys[:number]]
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
    near = _near(name, chip_names(connection))
    like = f"; names like it: {', '.join(near)}" if near else ""
    raise RefusedError(404, f"this board has no results of a chip called {name!r}{like}")


def _near(name: str, names: list[str]) -> list[str]:
    """Those that contain the name or are contained in it, then those spelt alike."""
    lower = {known.lower(): known for known in names}
    typed = name.lower()
    parts = [known for known in lower if typed in known or known in typed]
    close = difflib.get_close_matches(typed, lower, NEAR, 0.5)
    return [lower[known] for known in dict.fromkeys([*parts, *close])][:NEAR]


def _quantiles(connection: sa.Connection, cell: str) -> list[float]:
    """Seconds per epoch of the owners, fastest first; of many owners those at each percent."""
    medians = sorted(map(statistics.median, seconds_by_owner(connection, cell).values()))
    last = len(medians) - 1
    if last < MOST_QUANTILES:
        return medians
    steps = MOST_QUANTILES - 1
    return [medians[round(last * step / steps)] for step in range(MOST_QUANTILES)]
