"""``epochmark share``: send a result to a board, or have it erased there."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from epochmark.board.protocol import LOCAL_BOARD
from epochmark.cli._guard import described
from epochmark.cli._program import JsonOption
from epochmark.cli._records import RunArgument
from epochmark.cli.commands.boards._witness import check_witnessed, witnessed
from epochmark.errors import EpochmarkError

if TYPE_CHECKING:
    from epochmark.board.client.identity import Identity
    from epochmark.records.record import Record


@described(
    """Send a result to a board, without an account.

    Shows every field that leaves, and asks. What leaves is a copy with ids of its own, so that two
    boards cannot join theirs. It can be repeated, also to learn what became of a held result.
    """
)
def share(
    run: RunArgument,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="URL",
            help="The board's address. Default: the board on this machine.",
            show_default=False,
        ),
    ] = LOCAL_BOARD,
    label: Annotated[bool, typer.Option("--label", help="Send the run's label as well.")] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Have the board erase what was sent of this run.")
    ] = False,
    witness: Annotated[
        bool,
        typer.Option(
            "--witness",
            help="Then replay a few steps from numbers that the board draws: proof that the engine "
            "is at hand now.",
        ),
    ] = False,
    python: Annotated[
        str | None,
        typer.Option(
            "--python",
            metavar="PATH",
            help="The interpreter for that replay, as for 'run'.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    json: JsonOption = False,
) -> None:
    from epochmark.cli.commands.boards._extras import need

    need("share")
    from epochmark.board.client.identity import identity_for, known_identity
    from epochmark.board.settings import board_folder

    if (delete and witness) or (python is not None and not witness):
        raise EpochmarkError("--witness goes with sending, --python with --witness", exit_code=2)
    if delete:
        _delete(known_identity(to, board_folder()), run, yes=yes, json=json)
    else:
        identity = identity_for(to, board_folder())
        if witness:
            check_witnessed(run)
        receipt = _send(identity, run, label=label, yes=yes)
        try:
            if witness:
                receipt["witnessed"] = witnessed(identity, run, python)
        finally:  # it has been sent, whatever became of the replay
            _show_receipt(receipt, json=json)


def _send(identity: Identity, run: str, *, label: bool, yes: bool) -> dict[str, Any]:
    """Send it, and return what the board answers."""
    from epochmark.api.naming import stored_run
    from epochmark.board.client.sharing import send

    copy = identity.copy_of(stored_run(run).record, keep_label=label)
    if not yes:
        _show(identity, copy)
        _ask("Send it?", "nothing was sent", "sends")
    return send(identity, copy)


def _show_receipt(receipt: dict[str, Any], *, json: bool) -> None:
    from epochmark.cli._console import print_json, say

    if json:
        print_json(receipt)
    else:
        say(*_receipt_lines(receipt))


def _show(identity: Identity, copy: Record) -> None:
    """Show what would leave, on standard error since it is not the answer."""
    from epochmark.board.client.sharing import fields_of
    from epochmark.cli._console import remark

    remark(f"This would be sent to {identity.origin}, and could be read there by anyone:", "")
    remark(*(f"  {path}: {text}" for path, text in fields_of(copy)), "")


def _ask(question: str, otherwise: str, does: str) -> None:
    """Raise ``typer.Abort`` where the answer is no, and ``EpochmarkError`` where there is no one
    to ask."""
    from epochmark.cli._console import remark

    if not sys.stdin.isatty():
        raise EpochmarkError(f"{otherwise}: --yes {does} it without asking", exit_code=2)
    if not typer.confirm(question, err=True):
        remark(otherwise)
        raise typer.Abort


def _receipt_lines(receipt: dict[str, Any]) -> list[str]:
    """What became of it, and where it stands."""
    from epochmark.records.wording import counted

    state, url = receipt.get("state"), receipt.get("url")
    lines = [f"witnessed at {receipt['witnessed']}"] if "witnessed" in receipt else []
    if state != "shown":
        held = f"{state}: {receipt.get('reason')}."
        return [*lines, held, "The same command says what became of it."]
    place = receipt.get("standing")
    lines = [f"shown at {url}", *lines]
    if isinstance(place, dict) and place.get("others"):
        share = place["slower"] / place["others"]
        others = counted(place["others"], "other owner")
        lines.append(f"faster than {share:.0%} of {others} of like machines: {place.get('url')}")
    return lines


def _delete(identity: Identity, run: str, *, yes: bool, json: bool) -> None:
    from epochmark.board.client.sharing import erase
    from epochmark.cli._console import print_json, say

    record_id = _id_of(run)
    if not yes:
        question = f"Have {identity.origin} erase for good what was sent of {record_id}?"
        _ask(question, "nothing was erased", "erases")
    erase(identity, record_id)
    if json:
        print_json({"erased": record_id, "board": identity.origin})
    else:
        say(f"{identity.origin} has erased what was sent of {record_id}")


def _id_of(run: str) -> str:
    """The id of a run that is stored here, or was: then the whole of it must be typed."""
    import re

    from epochmark.api.naming import stored_run

    try:
        return stored_run(run).record.id
    except EpochmarkError:
        if re.fullmatch(r"[0-9a-f]{12}", run):
            return run
        raise
