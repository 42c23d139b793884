"""When a result that recomputes is shown only after the operator has looked at it."""

from __future__ import annotations

import sqlalchemy as sa

from epochmark.board.derived.figures import Figures
from epochmark.board.storage.cells import best_of_cell
from epochmark.board.storage.chips import is_chip_known
from epochmark.board.storage.trust.confirmed import best_confirmed
from epochmark.records.findings import FindingCode
from epochmark.records.record import Record

SURPRISING = 1.25
"""This many times as fast as the fastest confirmed run of its cell; as the fastest valid one, where
none is confirmed."""


def why_held(connection: sa.Connection, record: Record, figures: Figures) -> str | None:
    """The reasons to hold a result, as one sentence; None where nothing about it surprises."""
    reasons = []
    if not is_chip_known(connection, figures.chip, figures.chip_name):
        reasons.append(f"it is the first result of {figures.chip_name}")
    confirmed = best_confirmed(connection, figures.cell)
    best = confirmed or best_of_cell(connection, figures.cell)
    time = figures.steady_epoch_s
    if figures.validity == "valid" and best and time and best > SURPRISING * time:
        kind = "the fastest confirmed one like it" if confirmed else "the fastest like it"
        reasons.append(f"it is {best / time:.2f} times as fast as {kind}")
    if any(finding.code == FindingCode.LIMITS_STALE.value for finding in record.findings):
        reasons.append("it is faster than the peak measured for its processor")
    return "; ".join(reasons) or None
