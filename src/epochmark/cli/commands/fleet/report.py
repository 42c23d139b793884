"""``epochmark fleet report``: which nodes are slow, from the files of their runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._guard import EXIT_FAILED, described
from epochmark.cli._program import JsonOption

if TYPE_CHECKING:
    from epochmark.fleet.report import FleetReport


PageOption = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE.html",
        help="Also write a page with charts and every node.",
        show_default=False,
    ),
]


@described(
    """Say which nodes of a fleet are slow, and why.

    FILES are records, bundles, or folders with such; also what 'epochmark limits --json' printed.
    A node needs three runs for a round and two rounds for a verdict. Exit code 0: no node is slow;
    1: a node is slow; 2: no run could be read.
    """
)
def report(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILES", help="Records, bundles or folders of them."),
    ],
    baseline: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Earlier runs of this fleet: a record, a bundle or a folder.",
            show_default=False,
        ),
    ] = None,
    names: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Names of nodes: a line each with machine id and name.",
            show_default=False,
        ),
    ] = None,
    output: PageOption = None,
    json: JsonOption = False,
) -> None:
    check_output(output)
    show(_read(files, names, baseline), output, json)


def check_output(output: Path | None) -> None:
    """Raise ``EpochmarkError`` for a page that would not be HTML, before anything is done."""
    from epochmark.errors import EpochmarkError

    if output is not None and output.suffix.lower() not in (".html", ".htm"):
        raise EpochmarkError(
            f"a fleet's page is HTML: name a file that ends in .html, not {output}", exit_code=2
        )


def show(found: FleetReport, output: Path | None, json: bool) -> None:
    """Print the report, write its page, and exit with 1 where a node is slow."""
    from epochmark.api.reporting import write_file
    from epochmark.cli._console import print_json, remark
    from epochmark.fleet.shown.document import document_of
    from epochmark.fleet.shown.page import fleet_page

    if json:
        print_json(document_of(found))
    else:
        _print(found)
    if output is not None:
        write_file(output, fleet_page(found).encode())
        remark(f"page of the fleet: {output}")
    if found.nodes("slow"):
        raise typer.Exit(EXIT_FAILED)


def _read(files: list[Path], names: Path | None, baseline: Path | None) -> FleetReport:
    from epochmark.cli._progress import files_progress
    from epochmark.fleet.files import read_fleet, read_names
    from epochmark.fleet.report import fleet_report

    called = {} if names is None else read_names(names)
    with files_progress() as on_file:
        read = read_fleet(files, on_file)
        earlier = None if baseline is None else read_fleet([baseline], on_file)
    return fleet_report(read, called, earlier)


def _print(found: FleetReport) -> None:
    from epochmark.cli._console import say
    from epochmark.cli._tables import print_sections
    from epochmark.fleet.shown.text import (
        advice_text,
        answer_text,
        note_lines,
        sections_of,
        shortened_lines,
    )

    say(answer_text(found))
    advice = advice_text(found)
    if advice is not None:
        say(advice)
    say("")
    print_sections(sections_of(found))
    notes = shortened_lines(note_lines(found))
    if notes:
        say("", *notes)
