"""``epochmark check``: does a record, or a bundle of them, fit together?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from epochmark.cli._guard import EXIT_FAILED, described

DISCLAIMER = (
    "This proves consistency, not authenticity: who makes up a record with care is not found out."
)


@described(
    """Derive every figure and finding in a file anew and say what does not fit.

    Exit code 0: whole, consistent and plausible; 1: it is not, or today's rules trust it less than
    those it was judged by; 2: it is no file of ours.
    """
)
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A bundle or a record.")],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    from epochmark.api import check as check_file
    from epochmark.cli._console import print_json, say

    results = check_file(file)
    wrong = [one for one in results if one.problems]
    if json:
        print_json(
            {
                "consistent": not wrong,
                "records": [
                    {
                        "id": one.name,
                        "problems": one.problems,
                        "differences": one.differences,
                    }
                    for one in results
                ],
            }
        )
    else:
        for one in results:
            told = [*one.problems, *one.differences]
            if told:
                say(f"{one.name}:", *(f"  - {sentence}" for sentence in told))
        count = sum(one.record is not None for one in results)
        records = f"{count} record{'' if count == 1 else 's'}"
        if not wrong:
            say(f"{records}: whole, consistent and plausible.")
        say(DISCLAIMER)
    if wrong:
        raise typer.Exit(EXIT_FAILED)
