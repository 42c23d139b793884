"""``epochmark report``: everything measured, on one page for a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from epochmark.cli._guard import described
from epochmark.cli._records import IdsArgument, WithOption, WorkloadOption


@described(
    """Write one HTML file with charts, table, findings and the records themselves.

    It loads nothing from anywhere, so it can be opened, mailed and posted as it is.
    """
)
def report(
    ids: IdsArgument = None,
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
    from epochmark.cli._records import chosen_records
    from epochmark.errors import EpochmarkError
    from epochmark.judge.results import ResultFiles

    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise EpochmarkError(
            f"a report is an HTML page: name a file that ends in .html, not {output}", exit_code=2
        )
    records = chosen_records(ids, bundles, workload)
    file = output or ResultFiles.of_user().folder / "report.html"
    if output is None:
        file.parent.mkdir(parents=True, exist_ok=True)
    write_report(records, file)
    say(f"report of {len(records)} record{'' if len(records) == 1 else 's'}: {file}")
