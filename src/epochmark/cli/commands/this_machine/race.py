"""``epochmark race``: which is faster, by how much, also where the machine is restless?"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._completion import complete_engine
from epochmark.cli._guard import EXIT_FAILED, EXIT_INTERRUPTED, described
from epochmark.cli._program import JsonOption, TrainedOption
from epochmark.cli.commands.compare import EXIT_UNDECIDED, share_of
from epochmark.cli.commands.this_machine._turns import (
    MaxSecondsOption,
    NoSaveOption,
    PrecisionOption,
    check_seconds,
    ready_to_measure,
    shown_activity,
    tell_document,
)
from epochmark.errors import EpochmarkError

if TYPE_CHECKING:
    from epochmark.bench.plan import PlannedRun
    from epochmark.bench.racing.entries import Entry
    from epochmark.bench.racing.race import RaceRequest
    from epochmark.bench.request import RunRequest
    from epochmark.bench.tuned.search import TunedSearch
    from epochmark.engines import EngineInfo
    from epochmark.environments.managed import Environment
    from epochmark.judge.documents.races import RaceFiles
    from epochmark.records.documents.race import Race

TARGET, QUICK_TARGET, EXACT_TARGET = 0.01, 0.02, 0.005
"""Half widths of the intervals at which a race ends."""


@described(
    """Race engines or settings: which is faster, by how much?

    They train in turns of half a second, each suspended while the others train, so that a machine
    that changes its speed hits all alike. The first is what the others are compared with. Exit code
    0: done; 1: an entry failed or its work is wrong; 2: the command was wrong. With --gate, for
    scripts: 1: an entry is slower than the first by more than that; 0: none is; 3: undecided.
    """
)
def race(
    entries: Annotated[
        list[str],
        typer.Argument(
            metavar="ENTRY...",
            help="ENGINE[:tuned][@VERSION or @PYTHON][+threads=N], such as torch, torch:tuned, "
            "torch@2.12 (an environment with that version, made if need be), "
            "torch@path/to/python, native+threads=1.",
            autocompletion=complete_engine,
        ),
    ],
    workload: TrainedOption = "mnist-cnn",
    device: Annotated[
        str, typer.Option(metavar="cpu|gpu|gpu:N|tpu", help="Where all of them train.")
    ] = "cpu",
    precision: PrecisionOption = "stock",
    max_seconds: MaxSecondsOption = 300.0,
    quick: Annotated[
        bool, typer.Option("--quick", help="End when every ratio is known to 2 %, not to 1 %.")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="End when every ratio is known to 0.5 %.")
    ] = False,
    gate: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            help="Exit with 1 if an entry takes longer than the first by more than this, "
            "such as 3%.",
            show_default=False,
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Your remark, kept with the race.")
    ] = None,
    json: JsonOption = False,
    no_save: NoSaveOption = False,
) -> None:
    from epochmark.bench.racing.entries import parse_entries
    from epochmark.bench.racing.race import RaceRequest
    from epochmark.bench.request import RunRequest, find_workload
    from epochmark.judge.documents.races import RaceFiles

    target = _target(quick, exact)
    check_seconds(max_seconds)
    allowed = None if gate is None else share_of("--gate", gate)
    asked = RunRequest(
        engine="native",
        device=device,
        precision=precision,
        label=label,
        workload=find_workload(workload),
    )
    named = parse_entries(entries)
    runs = [_planned(entry, asked) for entry in named]
    files = None if no_save else RaceFiles.of_user()
    if files is not None:
        files.check_writable()
    request = RaceRequest(
        [entry.shown for entry in named], runs, target, max_seconds, label, allowed
    )
    raced = _race(request, asked, files, json)
    raise typer.Exit(_exit_code(raced))


def _target(quick: bool, exact: bool) -> float:
    if quick and exact:
        raise EpochmarkError("--quick and --exact exclude each other", exit_code=2)
    return QUICK_TARGET if quick else EXACT_TARGET if exact else TARGET


def _planned(entry: Entry, asked: RunRequest) -> PlannedRun:
    from epochmark.bench.racing.entries import planned_entry

    return planned_entry(entry, asked, _environment_of)


def _environment_of(info: EngineInfo, version: str) -> Environment:
    """That of the version; made with a sign of life where it is not there."""
    from epochmark.bench.interpreters.versions import find_version, make_version
    from epochmark.cli._console import remark
    from epochmark.cli._probing import activity

    found = find_version(info, version)
    if found is not None:
        return found
    with activity(f"{info.title} {version}") as on_line:
        return make_version(
            info,
            version,
            lambda holder: remark(f"another install (process {holder}) is running; waiting for it"),
            on_line,
        )


def _race(request: RaceRequest, asked: RunRequest, files: RaceFiles | None, json: bool) -> Race:
    """Get the data, find the settings of tuned entries, race, and tell what came of it, which
    Ctrl-C does not stop."""
    from epochmark.bench.process.interrupts import interrupts_later
    from epochmark.bench.racing.race import race as carry_out
    from epochmark.bench.tuned.search import TunedSearch
    from epochmark.report.text.race import race_lines

    keeps = files is not None
    with ready_to_measure(asked.workload, keeps) as (bench, folder):
        search = TunedSearch(bench, folder, saves=keeps, retune=False)
        runs = [_with_settings(entry, search) for entry in request.runs]
        with interrupts_later():
            with shown_activity("race") as tell:
                raced = carry_out(replace(request, runs=runs), bench, tell)
            tell_document(raced, race_lines(raced), files, json)
    return raced


def _with_settings(planned: PlannedRun, search: TunedSearch) -> PlannedRun:
    """A tuned run with the settings found for it."""
    from epochmark.bench.plan import Plan
    from epochmark.cli._tuning import find_settings

    (run,), _, _ = find_settings(Plan((planned,)), search, prints=False)
    return run


def _exit_code(raced: Race) -> int:
    from epochmark.analysis.racing.standings import gate
    from epochmark.analysis.racing.verdict import GateVerdict

    if raced.ending == "interrupted":
        return EXIT_INTERRUPTED
    if any(entry.place == "out" for entry in raced.standings):
        return EXIT_FAILED
    verdict = gate(raced, raced.standings)
    if verdict is GateVerdict.STRADDLES:
        return EXIT_UNDECIDED
    return EXIT_FAILED if verdict is GateVerdict.FAIL else 0
