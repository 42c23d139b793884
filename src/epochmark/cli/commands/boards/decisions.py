"""What an operator decides: ``epochmark board held``, ``show``, ``hold``, ``hide``, ``release``,
``ban`` and ``unban``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

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

KeyArgument = Annotated[
    str,
    typer.Argument(metavar="KEY", help="The sender, 64 digits in 'held' or on a result's page."),
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
    key: KeyArgument,
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


@described(
    """Take results of a banned key again.

    What the ban has hidden stays hidden until each is released.
    """
)
def unban(key: KeyArgument, reason: ReasonOption, database: DatabaseOption = None) -> None:
    opened = opened_database(database)
    from epochmark.board.storage import moderation
    from epochmark.cli._console import say
    from epochmark.records.wording import counted

    with opened as board, board.writing() as connection:
        hidden = moderation.unban(connection, key, reason)
    say(f"{key[:8]} is not banned any more; {counted(hidden, 'result')} of it stay hidden")


@described("""Show one result, whatever its state, and its decisions.""")
def show(result: ResultArgument, database: DatabaseOption = None, json: JsonOption = False) -> None:
    opened = opened_database(database)
    from epochmark.board.storage.moderation import result_in_full
    from epochmark.cli._console import print_json, say

    with opened as board, board.reading() as connection:
        found = result_in_full(connection, result)
    if json:
        print_json(found)
    else:
        say(*_lines_of(found))


def _lines_of(found: dict[str, Any]) -> list[str]:
    """All that is known of a result, a fact a line; of a deleted one that is little."""
    lines = [f"{found['id']} is {found['state']}" + _because(found["reason"])]
    for name, value in found.items():
        if name not in ("id", "state", "reason", "decisions") and value not in (None, "", [], ()):
            text = ", ".join(value) if isinstance(value, list | tuple) else value
            lines.append(f"  {name.replace('_', ' ')}: {text}")
    for decision in found["decisions"]:
        lines.append(f"  {decision['at']} {decision['action']}: {decision['reason']}")
    return lines


def _because(reason: str | None) -> str:
    return "" if reason is None else f": {reason}"


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
