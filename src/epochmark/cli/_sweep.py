"""What a batch sweep ends in: one table, and from where on another device beats the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from epochmark.records.record import Record


def print_sweep(records: Sequence[Record], as_json: bool) -> None:
    """All runs of a sweep, by engine, device and batch size."""
    from epochmark.analysis.comparing.batch_sizes import batch_sweeps
    from epochmark.cli._console import print_json, say
    from epochmark.cli._tables import print_rows
    from epochmark.report.tables.batch_sweep import (
        SWEEP_COLUMNS,
        VARIANTS_NOTE,
        crossover_lines,
        crossovers_document,
        sweep_rows,
    )
    from epochmark.report.text.spread import spread_lines

    sweeps = batch_sweeps(records)
    if as_json:
        print_json({"records": records, "crossovers": crossovers_document(sweeps)})
    elif records:
        say("")
        print_rows(SWEEP_COLUMNS, sweep_rows(records))
        say("", VARIANTS_NOTE, *crossover_lines(sweeps), *spread_lines(records))
