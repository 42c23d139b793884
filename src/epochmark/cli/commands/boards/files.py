"""``epochmark board import``, ``dump`` and ``rederive``: what is on a board, as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from epochmark.cli._guard import EXIT_FAILED, described
from epochmark.cli._program import JsonOption
from epochmark.cli.commands.boards._database import DatabaseOption, opened_database
from epochmark.errors import EpochmarkError

EVERY = 500
"""Results between two lines of progress, some seconds of work."""


@described(
    """Take in the records of a file, as the operator's own.

    Each must recompute; none is held. With --first, what a new board begins with: runs of this
    project, and published results of other machines, which are not ranked. Exit code 1: some were
    refused.
    """
)
def import_file(
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="A bundle, a record, or a board's dump.", show_default=False
        ),
    ] = None,
    first: Annotated[
        bool, typer.Option("--first", help="What comes with epochmark, instead of a file.")
    ] = False,
    database: DatabaseOption = None,
    json: JsonOption = False,
) -> None:
    if first == (file is not None):
        raise EpochmarkError("import takes a FILE, or --first", exit_code=2)
    opened = opened_database(database)
    from epochmark.board.operating import transfer
    from epochmark.cli._console import print_json, remark, say
    from epochmark.records.wording import counted

    counts = {"imported": 0, "known": 0, "refused": 0}
    published = 0
    with opened as board:
        if file is None:
            published = transfer.import_published(board)
            outcomes = transfer.import_first_results(board)
        else:
            outcomes = transfer.import_file(board, file)
        for what, lines in outcomes:
            counts[what] += 1
            remark(*lines)
            _progress(sum(counts.values()))
    added, known, refused = counts.values()
    if json:
        print_json({**counts, **({"published": published} if first else {})})
    else:
        say(f"{counted(added, 'result')} imported, {known} known already, {refused} refused")
        if first:
            say(f"{counted(published, 'published result')} of other machines, not ranked")
    if refused:
        raise typer.Exit(EXIT_FAILED)


@described(
    """Write the record of every shown result to a file.

    It is packed with gzip and holds one JSON document a line.
    """
)
def dump(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl.gz", help="The file to write.")],
    database: DatabaseOption = None,
    json: JsonOption = False,
) -> None:
    opened = opened_database(database)
    from epochmark.board.operating import transfer
    from epochmark.cli._console import print_json, say
    from epochmark.records.wording import counted

    with opened as board:
        count = transfer.dump(board, file, _progress)
    if json:
        print_json({"results": count, "file": str(file)})
    else:
        say(f"{counted(count, 'result')} written to {file}")


@described(
    """Derive again what another version of epochmark derived.

    What does not recompute any more is hidden. Interrupted, it goes on where it was.
    """
)
def rederive(database: DatabaseOption = None, json: JsonOption = False) -> None:
    opened = opened_database(database)
    from epochmark.board.operating.again import derive_again
    from epochmark.cli._console import print_json, remark, say
    from epochmark.records.wording import counted

    hidden = []
    count = 0
    with opened as board:
        for count, (result_id, why) in enumerate(derive_again(board), start=1):
            if why is not None:
                hidden.append(result_id)
                remark(f"hidden {result_id}: {why}")
            _progress(count)
    if json:
        print_json({"derived": count, "hidden": hidden})
    else:
        say(f"{counted(count, 'result')} derived again, {len(hidden)} of them hidden")


def _progress(count: int) -> None:
    """A line on standard error now and then."""
    from epochmark.cli._console import remark

    if count % EVERY == 0:
        remark(f"{count:,} results so far")
