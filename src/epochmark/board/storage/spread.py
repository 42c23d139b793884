"""How the runs of a cell are spread, and its versions over time, from its newest valid runs."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from epochmark.board.storage.cells import ranked
from epochmark.board.storage.tables import results

NEWEST = 400
"""Runs of a cell that are looked at: more could not be distinguished in a drawing."""


@dataclass(frozen=True)
class Version:
    """What the runs with one set of versions say; ``since``: when the first of them was made."""

    versions: str
    since: str
    runs: int
    median_s: float


def newest_ranked(connection: sa.Connection, cell: str) -> list[sa.Row[Any]]:
    """The newest valid runs of a cell that are shown, newest first: ``versions``, ``measured`` and
    ``steady_epoch_s``."""
    columns = (results.c.versions, results.c.measured, results.c.steady_epoch_s)
    chosen = sa.select(*columns).where(*ranked(cell)).order_by(results.c.number.desc())
    return [*connection.execute(chosen.limit(NEWEST))]


def by_version(runs: Sequence[sa.Row[Any]]) -> list[Version]:
    """The versions of these runs, in the order of the first run of each."""
    seconds: dict[str, list[float]] = {}
    since: dict[str, str] = {}
    for run in sorted(runs, key=lambda run: run.measured):
        seconds.setdefault(run.versions, []).append(run.steady_epoch_s)
        since.setdefault(run.versions, run.measured)
    return [
        Version(versions, since[versions], len(times), statistics.median(times))
        for versions, times in seconds.items()
    ]
