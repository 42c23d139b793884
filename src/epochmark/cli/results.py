"""``epochmark results``: the records on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._guard import guarded

if TYPE_CHECKING:
    from epochmark.results.store import StoredRecord

app = typer.Typer(
    help="List, show or remove the records of runs on this machine.",
    invoke_without_command=True,
    rich_markup_mode=None,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
IdArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The record's id, or the beginning of it.")
]


@app.callback()
def _list_by_default(context: typer.Context, json: JsonOption = False) -> None:
    if context.invoked_subcommand is None:
        guarded(list_results)(json=json)


def list_results(json: JsonOption = False) -> None:
    """List all records, oldest first."""
    from epochmark.cli._console import print_json, say
    from epochmark.cli._tables import print_rows, warn_unreadable
    from epochmark.report.results_list import RESULT_COLUMNS, result_rows
    from epochmark.results.store import ResultFiles

    files = ResultFiles.of_user()
    stored, unreadable = files.load()
    if json:
        print_json([one.record for one in stored])
    elif stored:
        print_rows(RESULT_COLUMNS, result_rows([one.record for one in stored]))
    else:
        say(f"no results yet in {files.folder}: 'epochmark run' makes the first")
    warn_unreadable(unreadable)


def show(record_id: IdArgument, json: JsonOption = False) -> None:
    """Show one record: its figures, its findings, its file."""
    from epochmark.cli._console import print_json, say
    from epochmark.report.answer import answer_lines

    stored = _find(record_id)
    if json:
        print_json(stored.record)
        return
    say(*answer_lines(stored.record), "")
    say(f"measured {stored.record.created}, saved in {stored.file}")


def remove(record_id: IdArgument, json: JsonOption = False) -> None:
    """Remove one record and its stderr file."""
    from epochmark.cli._console import print_json, say
    from epochmark.results.store import ResultFiles

    stored = _find(record_id)
    ResultFiles.of_user().remove(stored)
    if json:
        print_json({"removed": stored.record.id})
    else:
        say(f"removed {stored.file}")


app.command("list")(guarded(list_results))
app.command("show")(guarded(show))
app.command("rm")(guarded(remove))


def _find(record_id: str) -> StoredRecord:
    from epochmark.results.store import ResultFiles

    return ResultFiles.of_user().find(record_id)
