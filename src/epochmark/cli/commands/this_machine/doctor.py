"""``epochmark doctor``: what keeps this machine from training well, and what fixes it."""

from __future__ import annotations

import contextlib
import sys
import textwrap
from itertools import groupby
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._guard import EXIT_FAILED, described

if TYPE_CHECKING:
    from collections.abc import Iterator

    from epochmark.doctor.contract import Line


@described(
    """Check what keeps this machine from training well.

    GPUs, drivers, engines, power, memory, disk and data, without importing a framework. Every line
    is ok, a note (worth knowing) or a fault (it should work and does not), with the command that
    fixes it. No GPU is a note. Exit code 1: there are faults.
    """
)
def doctor(
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Also import every framework and ask it for its devices."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    from epochmark.cli._console import print_json, say
    from epochmark.cli._probing import activity
    from epochmark.doctor.checkup import check_up
    from epochmark.doctor.facts import ask_drivers, gather

    asking = activity("asking the engines", terminal_only=True)
    with asking if deep else contextlib.nullcontext():
        lines = check_up(gather(deep), ask=ask_drivers)
    faults = sum(line.state == "fault" for line in lines)
    notes = sum(line.state == "note" for line in lines)
    if json:
        print_json({"faults": faults, "notes": notes, "lines": lines})
    else:
        for check, of_check in groupby(lines, lambda line: line.check):
            say(check, *(part for line in of_check for part in _shown(line)))
        say("", f"{_counted(faults, 'fault')}, {_counted(notes, 'note')}.")
    if faults:
        raise typer.Exit(EXIT_FAILED)


def _shown(line: Line) -> Iterator[str]:
    """Its state and text, folded below its own beginning, and the remedy."""
    from epochmark.cli._console import columns, printable

    head = f"  {line.state:<5}  "
    width = columns(sys.stdout)
    folded = [printable(line.text)]
    if width is not None:
        room = max(20, width - len(head))
        folded = textwrap.wrap(folded[0], room, break_long_words=False, break_on_hyphens=False)
    for number, part in enumerate(folded):
        yield f"{' ' * len(head) if number else head}{part}"
    lead = "fix: " if line.state == "fault" else "try: "
    for number, part in enumerate((line.remedy or "").splitlines()):
        yield f"{' ' * len(head)}{' ' * len(lead) if number else lead}{part}"


def _counted(count: int, what: str) -> str:
    return f"{count or 'no'} {what}{'' if count == 1 else 's'}"
