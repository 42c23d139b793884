"""``epochmark explain``: where a run's time went, and what held it back."""

from __future__ import annotations

from typing import Annotated

import typer

from epochmark.cli._completion import complete_run
from epochmark.cli._guard import described
from epochmark.cli._records import WorkloadOption


@described(
    """Say where the time of a run went, what held it back, and what to try.

    Every sentence comes from a rule, and rests on the run, on what 'epochmark limits' measured on
    this machine, and on batch sweeps; what is not known is left unsaid.
    """
)
def explain(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN",
            help="A record's id or file, or an engine (its newest run here). "
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
    from epochmark.cli._console import print_json, say
    from epochmark.cli._records import known_limits, newest_run, of_workload, recorded_run
    from epochmark.cli._tables import warn_unreadable
    from epochmark.judge.results import ResultFiles
    from epochmark.report.explanations import explain as explain_run
    from epochmark.report.explanations import gather
    from epochmark.report.text.explanation import explanation_document, explanation_lines

    stored, unreadable = ResultFiles.of_user().load()
    records = [one.record for one in stored]
    theirs = of_workload(records, workload)
    record = newest_run(theirs) if run is None else recorded_run(run, theirs)
    explanations = explain_run(gather(record, [*records, record], known_limits()))
    if json:
        print_json(explanation_document(record, explanations))
    else:
        say(*explanation_lines(record, explanations))
    if run is None:
        warn_unreadable(unreadable)
