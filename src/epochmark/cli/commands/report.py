"""``epochmark report``: everything measured, on one page for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from epochmark.cli._guard import described
from epochmark.cli._records import RunsArgument, WithOption, WorkloadOption


@described(
    """Write one HTML page: answer, charts, findings, table, records.

    It loads nothing from anywhere, so it can be opened, mailed and posted as it is.
    """
)
def report(
    runs: RunsArgument = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE.html",
            help="Where to write it. Default: report.html beside the records.",
            show_default=False,
        ),
    ] = None,
    bundles: WithOption = None,
    workload: WorkloadOption = None,
) -> None:
    from epochmark.api import write_report
    from epochmark.cli._console import say
    from epochmark.cli._records import chosen_results
    from epochmark.errors import EpochmarkError
    from epochmark.judge.results import ResultFiles
    from epochmark.records.wording import counted

    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise EpochmarkError(
            f"a report is an HTML page: name a file that ends in .html, not {output}", exit_code=2
        )
    records, races, scalings = chosen_results(runs, bundles, workload)
    file = output or ResultFiles.of_user().folder / "report.html"
    if output is None:
        file.parent.mkdir(parents=True, exist_ok=True)
    write_report(records, file, races=races, scalings=scalings)
    say(f"report of {counted(len(records), 'record')}: {file}")
