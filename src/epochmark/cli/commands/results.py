"""``epochmark results``: the records on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._completion import complete_id
from epochmark.cli._guard import EXIT_FAILED, described, guarded
from epochmark.cli._records import IdsArgument

if TYPE_CHECKING:
    from epochmark.judge.results import StoredRecord

app = typer.Typer(
    help="List, show, remove, export or import the records of runs.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
IdArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The record's id, or the beginning of it.",
        autocompletion=complete_id,
    ),
]


@app.callback()
def _list_by_default(context: typer.Context, json: JsonOption = False) -> None:
    if context.invoked_subcommand is None:
        guarded(list_results)(json=json)


@described("""List all records, oldest first.""")
def list_results(json: JsonOption = False) -> None:
    from epochmark.cli._console import print_json, say
    from epochmark.cli._tables import print_table, warn_unreadable
    from epochmark.judge.results import ResultFiles
    from epochmark.report.tables.runs import results_section

    files = ResultFiles.of_user()
    stored, unreadable = files.load()
    if json:
        print_json([one.record for one in stored])
    elif stored:
        print_table(results_section([one.record for one in stored]))
    else:
        say(f"no results yet in {files.folder}: 'epochmark run' makes the first")
    warn_unreadable(unreadable)


@described("""Show one record: its figures, its findings, its file.""")
def show(record_id: IdArgument, json: JsonOption = False) -> None:
    from epochmark.cli._console import print_json, say
    from epochmark.records.dates import local_time
    from epochmark.report.text.answer import answer_lines

    stored = _find(record_id)
    if json:
        print_json(stored.record)
        return
    say(*answer_lines(stored.record), "")
    say(f"measured {local_time(stored.record.created)}, saved in {stored.file}")


@described("""Remove one record and its stderr file.""")
def remove(record_id: IdArgument, json: JsonOption = False) -> None:
    from epochmark.cli._console import print_json, say
    from epochmark.judge.results import ResultFiles

    stored = _find(record_id)
    ResultFiles.of_user().remove(stored)
    if json:
        print_json({"removed": stored.record.id})
    else:
        say(f"removed {stored.file}")


@described("""Write records into one file that another machine can import, check and compare.""")
def export_records(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The bundle to write.")],
    ids: IdsArgument = None,
    machine_id: Annotated[
        bool, typer.Option("--machine-id", help="Keep the random id of this machine in it.")
    ] = False,
) -> None:
    from epochmark.api import export_results
    from epochmark.cli._console import say
    from epochmark.cli._records import chosen_records
    from epochmark.errors import EpochmarkError

    records = chosen_records(ids)
    if not records:
        raise EpochmarkError(
            "there are no results to export yet: 'epochmark run' makes the first", exit_code=2
        )
    export_results(records, file, keep_machine_ids=machine_id)
    say(f"{len(records)} record{'' if len(records) == 1 else 's'} exported: {file}")


@described(
    """Take the records of a bundle among this machine's, after checking each.

    Each record is judged by itself. Exit code 1 when some were refused or the bundle is not whole;
    those that fit are imported all the same.
    """
)
def import_records(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle or a record.")],
    json: JsonOption = False,
) -> None:
    from epochmark.api import THE_BUNDLE, import_results
    from epochmark.cli._console import print_json, remark, say

    added, refused = import_results(file)
    for one in refused:
        what = f"{file} is not whole:" if one.name == THE_BUNDLE else f"refused {one.name}:"
        remark(what, *(f"  - {problem}" for problem in one.problems))
    if json:
        print_json(
            {
                "imported": [record.id for record in added],
                "refused": [{"id": one.name, "problems": one.problems} for one in refused],
            }
        )
    else:
        all_here = "" if added or refused else ": all of them are here already"
        say(f"{len(added)} record{'' if len(added) == 1 else 's'} imported{all_here}")
    if refused:
        raise typer.Exit(EXIT_FAILED)


app.command("list")(guarded(list_results))
app.command("show")(guarded(show))
app.command("rm")(guarded(remove))
app.command("export")(guarded(export_records))
app.command("import")(guarded(import_records))


def _find(record_id: str) -> StoredRecord:
    from epochmark.judge.results import ResultFiles

    return ResultFiles.of_user().find(record_id)
