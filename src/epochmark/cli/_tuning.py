"""Tuned runs: find the settings first, print them, and set them beside stock."""

from __future__ import annotations

from typing import TYPE_CHECKING

from epochmark.cli._console import remark, say
from epochmark.errors import EpochmarkError, unknown

if TYPE_CHECKING:
    from epochmark.bench.plan import LeftOut, Plan, PlannedRun
    from epochmark.bench.tuned.search import TunedSearch
    from epochmark.records.machine.tuned_settings import Tuned

TUNINGS = ("stock", "tuned", "both")


def check_tuning(tuning: str, retune: bool) -> None:
    """Raise ``EpochmarkError`` (exit code 2) for what is no tuning."""
    if tuning not in TUNINGS:
        raise unknown("tuning", tuning, TUNINGS)
    if retune and tuning == "stock":
        raise EpochmarkError("--retune needs --tuning tuned or both", exit_code=2)


def find_settings(
    plan: Plan, search: TunedSearch, prints: bool
) -> tuple[list[PlannedRun], list[LeftOut], list[Tuned]]:
    """The plan's runs, the tuned ones with the settings found for them; engines that cannot be
    searched, unless there is only one; and what was found.

    ``prints`` the settings on standard output with those that failed, and everything that was tried
    where stock is measured as well; otherwise only what failed is shown, on standard error.
    """
    from epochmark.bench.plan import LeftOut
    from epochmark.bench.tuned.search import with_settings
    from epochmark.cli._probing import activity
    from epochmark.report.tables.tuned_settings import refused_lines

    beside_stock = {run.request.tuning for run in plan.runs} == {"stock", "tuned"}
    found: dict[tuple[str, str, str], Tuned | None] = {}
    runs: list[PlannedRun] = []
    left_out: list[LeftOut] = []
    for planned in plan.runs:
        request = planned.request
        setup = (request.engine, request.device, request.workload.name)
        if request.tuning == "tuned" and setup not in found:
            found[setup] = None
            try:
                with activity(f"tuning {request.engine} on {request.device}") as tell:
                    tuned = found[setup] = search.tuned(planned, tell)
            except EpochmarkError as error:
                if len(plan.runs) == 1:
                    raise
                left_out.append(LeftOut(request.engine, request.device, str(error)))
            else:
                if prints:
                    _print_found(tuned, beside_stock)
                else:
                    remark(*refused_lines(tuned))
        if request.tuning == "stock":
            runs.append(planned)
        elif (settings := found[setup]) is not None:
            runs.append(with_settings(planned, settings))
    return runs, left_out, [settings for settings in found.values() if settings is not None]


def _print_found(tuned: Tuned, shows_all: bool) -> None:
    from epochmark.cli._tables import print_rows
    from epochmark.report.tables.tuned_settings import (
        TUNING_COLUMNS,
        refused_lines,
        tuning_lines,
        tuning_rows,
    )

    say(*tuning_lines(tuned))
    if not shows_all:
        say(*refused_lines(tuned))
    elif tuned.tried:
        print_rows(TUNING_COLUMNS, tuning_rows(tuned))
    say("")
