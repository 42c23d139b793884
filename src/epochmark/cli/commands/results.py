"""``epochmark results``: the records on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._guard import EXIT_FAILED, described
from epochmark.cli._program import JsonOption, add_commands, group
from epochmark.cli._records import ResultArgument, RunsArgument

if TYPE_CHECKING:
    from epochmark.judge.documents.files import Stored
    from epochmark.records.documents.race import Race
    from epochmark.records.documents.scaling import Scaling


@described("""List all records, oldest first, then all races and scalings.""")
def list_results(json: JsonOption = False) -> None:
    from epochmark.cli._console import print_json, say
    from epochmark.cli._tables import print_table, warn_unreadable
    from epochmark.judge.documents.races import RaceFiles
    from epochmark.judge.documents.scalings import ScalingFiles
    from epochmark.judge.results import ResultFiles
    from epochmark.report.tables.runs import results_section
    from epochmark.report.text.race import races_section
    from epochmark.report.text.scaling import scalings_section

    files = ResultFiles.of_user()
    stored, unreadable = files.load()
    raced, unreadable_races = RaceFiles.of_user().load()
    scaled, unreadable_scalings = ScalingFiles.of_user().load()
    records = [run.record for run in stored]
    races, scalings = [each.document for each in raced], [each.document for each in scaled]
    if json:
        print_json([*records, *races, *scalings])
    elif not records and not races and not scalings:
        say(f"no results yet in {files.folder}: 'epochmark run' makes the first")
    if records and not json:
        print_table(results_section(records))
    if races and not json:
        say(*([""] if records else []), "Races:", "")
        print_table(races_section(races))
    if scalings and not json:
        say(*([""] if records or races else []), "Scalings:", "")
        print_table(scalings_section(scalings))
    warn_unreadable([*unreadable, *unreadable_races, *unreadable_scalings])


@described("""Show a record, race or scaling: its figures, its findings.""")
def show(run: ResultArgument, json: JsonOption = False) -> None:
    from epochmark.api.naming import stored_document, stored_run
    from epochmark.cli._console import print_json, say
    from epochmark.records.dates import local_time
    from epochmark.report.text.answer import answer_lines

    document = stored_document(run)
    if document is not None:
        _show_document(document, json)
        return
    stored = stored_run(run)
    if json:
        print_json(stored.record)
        return
    say(*answer_lines(stored.record), "")
    say(f"measured {local_time(stored.record.created)}, saved in {stored.file}")


def _show_document(stored: Stored[Race] | Stored[Scaling], json: bool) -> None:
    from epochmark.cli._console import print_json, say
    from epochmark.records.dates import local_time
    from epochmark.records.documents.race import Race
    from epochmark.report.text.race import race_lines
    from epochmark.report.text.scaling import scaling_lines

    document = stored.document
    if json:
        print_json(document)
        return
    when = f"{local_time(document.created)}, saved in {stored.file}"
    if isinstance(document, Race):
        say(*race_lines(document), "", f"raced {when}")
    else:
        say(*scaling_lines(document), "", f"measured {when}")


@described("""Remove a record and its stderr file, or a race or scaling.""")
def remove(run: ResultArgument, json: JsonOption = False) -> None:
    from epochmark.api.naming import stored_document, stored_run
    from epochmark.cli._console import print_json, say
    from epochmark.judge.results import ResultFiles

    document = stored_document(run)
    if document is None:
        stored = stored_run(run)
        ResultFiles.of_user().remove(stored)
        removed, file = stored.record.id, stored.file
    else:
        document.remove()
        removed, file = document.document.id, document.file
    if json:
        print_json({"removed": removed})
    else:
        say(f"removed {file}")


@described(
    """Write results to one file that other machines can read.

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
    from epochmark.cli._records import chosen_results, counted_documents
    from epochmark.errors import EpochmarkError

    documents = [document for kind in chosen_results(runs) for document in kind]
    if not documents:
        raise EpochmarkError(
            "there are no results to export yet: 'epochmark run' makes the first", exit_code=2
        )
    export_results(documents, file, keep_machine_ids=machine_id)
    say(f"{counted_documents(documents)} exported: {file}")


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
    from epochmark.cli._records import counted_documents, opened

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
        say(f"{counted_documents(added)} imported{all_here}")
    if refused:
        raise typer.Exit(EXIT_FAILED)


app = group("List, show, remove, export or import runs and races.", list_results)
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
