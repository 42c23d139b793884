"""``epochmark history``: this machine over time, and what each change did."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from epochmark.cli._completion import complete_engine
from epochmark.cli._guard import described
from epochmark.cli._records import WithOption, WorkloadOption, chosen_records

if TYPE_CHECKING:
    from epochmark.analysis.comparing.history import Entry, Series


@described(
    """Show this machine's speed over time, and what changed with it.

    Runs of the same workload, engine, device, tuning and precision form a series. Each valid run is
    compared with the valid run before it. Disturbed runs are shown but not compared.
    """
)
def history(
    engines: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ENGINE",
            help="Only these engines. Default: all.",
            show_default=False,
            autocompletion=complete_engine,
        ),
    ] = None,
    bundles: WithOption = None,
    workload: WorkloadOption = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    from epochmark.analysis.comparing.history import history as history_of
    from epochmark.api.reporting import subject
    from epochmark.bench.request import public_engines
    from epochmark.cli._console import print_json, say
    from epochmark.engines import engine_names
    from epochmark.errors import EpochmarkError, unknown
    from epochmark.report.text.history import history_lines

    for name in engines or []:
        if name not in engine_names():
            raise unknown("engine", name, public_engines())
    series = [
        line
        for line in history_of(subject(chosen_records(None, bundles, workload)).own)
        if not engines or line.setup.engine in engines
    ]
    if json:
        print_json([_document(line) for line in series])
        return
    if not series:
        of = f" of {', '.join(engines)}" if engines else ""
        raise EpochmarkError(
            f"no run{of} here has a steady epoch yet: 'epochmark run' makes the first", exit_code=2
        )
    say(*history_lines(series))


def _document(series: Series) -> dict[str, Any]:
    return {**series.setup._asdict(), "runs": [_run(entry) for entry in series.entries]}


def _run(entry: Entry) -> dict[str, Any]:
    from epochmark.analysis.timing.undisturbed import undisturbed_of

    headline, change = entry.record.headline, entry.change
    calm = undisturbed_of(entry.record)
    return {
        "id": entry.record.id,
        "created": entry.record.created,
        "validity": headline.validity,
        "steady_epoch_s": headline.steady_epoch_s,
        "steady_epoch_low_s": headline.steady_epoch_low_s,
        "steady_epoch_high_s": headline.steady_epoch_high_s,
        "undisturbed_epoch_s": calm and calm.epoch_s,
        "undisturbed_share": calm and calm.share,
        "change": change
        and {
            "since": change.before.id,
            "verdict": change.verdict,
            "times_as_fast": change.times_as_fast,
            "differences": [
                {"name": name, "before": before, "after": after}
                for name, before, after in change.differences
            ],
        },
    }
