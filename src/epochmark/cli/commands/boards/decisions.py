"""``epochmark board held``, ``hold``, ``hide``, ``release``, ``ban``: what an operator decides."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._guard import described
from epochmark.cli._program import JsonOption
from epochmark.cli.commands.boards._database import DatabaseOption, opened_database

if TYPE_CHECKING:
    from epochmark.board.storage.results import State

ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why; it stands in the public log.")
]
ResultArgument = Annotated[
    str, typer.Argument(metavar="ID", help="The result, by the id in its page's address.")
]


@described(
    """Show a result no more until it is released.

    Its sender learns the reason.
    """
)
def hold(result: ResultArgument, reason: ReasonOption, database: DatabaseOption = None) -> None:
    _decide("held", result, reason, database)


@described(
    """Hide a result for good.

    Its sender learns the reason.
    """
)
def hide(result: ResultArgument, reason: ReasonOption, database: DatabaseOption = None) -> None:
    _decide("hidden", result, reason, database)


@described("""Show a result that was held or hidden.""")
def release(result: ResultArgument, reason: ReasonOption, database: DatabaseOption = None) -> None:
    _decide("shown", result, reason, database)


def _decide(state: State, result: str, reason: str, database: str | None) -> None:
    opened = opened_database(database)
    from epochmark.board.storage.moderation import decide
    from epochmark.cli._console import say

    with opened as board, board.writing() as connection:
        decide(connection, state, result, reason)
    say(f"{result} is {state}")


@described("""Take nothing from a key any more, and hide what it sent.""")
def ban(
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY", help="The sender, 64 digits in 'held' or on a result's page."
        ),
    ],
    reason: ReasonOption,
    database: DatabaseOption = None,
) -> None:
    opened = opened_database(database)
    from epochmark.board.storage import moderation
    from epochmark.cli._console import say
    from epochmark.records.wording import counted

    with opened as board, board.writing() as connection:
        count = moderation.ban(connection, key, reason)
    say(f"{key[:8]} is banned, {counted(count, 'result')} hidden")


@described("""List the results that wait for a decision, oldest first.""")
def held(database: DatabaseOption = None, json: JsonOption = False) -> None:
    opened = opened_database(database)
    from epochmark.board.storage.moderation import waiting
    from epochmark.cli._console import print_json, say

    with opened as board, board.reading() as connection:
        found = waiting(connection)
    if json:
        print_json([dict(row._mapping) for row in found])
    elif found:
        for row in found:
            say(
                f"{row.id}  {row.hardware}, {row.engine}: {row.reason}",
                f"  sent by {row.key}" if row.key else "  imported",
            )
    else:
        say("no result is held")
