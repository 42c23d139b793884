"""``epochmark results``: the records on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from epochmark.cli._guard import EXIT_FAILED, described
from epochmark.cli._program import JsonOption, add_commands, group
from epochmark.cli._records import RunArgument, RunsArgument


@described("""List all records, oldest first.""")
def list_results(json: JsonOption = False) -> None:
    from epochmark.cli._console import print_json, say
    from epochmark.cli._tables import print_table, warn_unreadable
    from epochmark.judge.results import ResultFiles
    from epochmark.report.tables.runs import results_section

    files = ResultFiles.of_user()
    stored, unreadable = files.load()
    if json:
        print_json([run.record for run in stored])
    elif stored:
        print_table(results_section([run.record for run in stored]))
    else:
        say(f"no results yet in {files.folder}: 'epochmark run' makes the first")
    warn_unreadable(unreadable)


@described("""Show one record: its figures, its findings, its file.""")
def show(run: RunArgument, json: JsonOption = False) -> None:
    from epochmark.api.naming import stored_run
    from epochmark.cli._console import print_json, say
    from epochmark.records.dates import local_time
    from epochmark.report.text.answer import answer_lines

    stored = stored_run(run)
    if json:
        print_json(stored.record)
        return
    say(*answer_lines(stored.record), "")
    say(f"measured {local_time(stored.record.created)}, saved in {stored.file}")


@described("""Remove one record and its stderr file.""")
def remove(run: RunArgument, json: JsonOption = False) -> None:
    from epochmark.api.naming import stored_run
    from epochmark.cli._console import print_json, say
    from epochmark.judge.results import ResultFiles

    stored = stored_run(run)
    ResultFiles.of_user().remove(stored)
    if json:
        print_json({"removed": stored.record.id})
    else:
        say(f"removed {stored.file}")


@described(
    """Write records to one file that other machines can read.

    'epochmark results import' adds them there; check, compare, report and plot read the file too.
    """
)
def export_records(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The bundle to write.")],
    runs: RunsArgument = None,
    machine_id: Annotated[
        bool, typer.Option("--machine-id", help="Include this machine's random id.")
    ] = False,
) -> None:
    from epochmark.api import export_results
    from epochmark.cli._console import say
    from epochmark.cli._records import chosen_records
    from epochmark.errors import EpochmarkError
    from epochmark.records.wording import counted

    records = chosen_records(runs)
    if not records:
        raise EpochmarkError(
            "there are no results to export yet: 'epochmark run' makes the first", exit_code=2
        )
    export_results(records, file, keep_machine_ids=machine_id)
    say(f"{counted(len(records), 'record')} exported: {file}")


@described(
    """Check the records in a file and add them to this machine's.

    Each record is checked on its own, and the sound ones are imported. Exit code 1: some were
    refused, or the bundle is incomplete.
    """
)
def import_records(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A bundle, a record, or what 'run --json' printed; - reads it from standard "
            "input.",
        ),
    ],
    json: JsonOption = False,
) -> None:
    from epochmark.api import import_results
    from epochmark.api.sharing import THE_BUNDLE
    from epochmark.cli._console import print_json, remark, say
    from epochmark.cli._records import opened
    from epochmark.records.wording import counted

    added, refused = import_results(opened(file))
    for result in refused:
        what = f"{file} is not intact:" if result.name == THE_BUNDLE else f"refused {result.name}:"
        remark(what, *(f"  - {problem}" for problem in result.problems))
    if json:
        print_json(
            {
                "imported": [record.id for record in added],
                "refused": [{"id": result.name, "problems": result.problems} for result in refused],
            }
        )
    else:
        all_here = "" if added or refused else ": all of them are here already"
        say(f"{counted(len(added), 'record')} imported{all_here}")
    if refused:
        raise typer.Exit(EXIT_FAILED)


app = group("List, show, remove, export or import the records of runs.", list_results)
add_commands(
    app,
    {
        "list": list_results,
        "show": show,
        "rm": remove,
        "export": export_records,
        "import": import_records,
    },
)
