"""``epochmark explain``: where a run's time went, and what held it back."""

from __future__ import annotations

from typing import Annotated

import typer

from epochmark.cli._completion import complete_run
from epochmark.cli._guard import described
from epochmark.cli._records import WorkloadOption


@described(
    """Say where a run's time went, what held it back, what to try.

    Every sentence comes from a rule, based on the run, on what 'epochmark limits' measured on
    this machine, and on batch sweeps. Nothing is guessed.
    """
)
def explain(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="An engine (its newest run here), or a record's id or file. "
            "Default: the newest run.",
            show_default=False,
            autocompletion=complete_run,
        ),
    ] = None,
    workload: WorkloadOption = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print each sentence with its rule and figures.")
    ] = False,
) -> None:
    from epochmark.api import explain as explain_run
    from epochmark.cli._console import print_json, say

    explained = explain_run(run, workload=workload)
    if not json:
        say(*str(explained).split("\n"))
        return
    record = explained.record
    print_json(
        {
            "id": record.id,
            "engine": record.engine.name,
            "validity": record.headline.validity,
            "explanations": explained.reasons,
        }
    )
