"""``epochmark check``: does a record, or a bundle of them, fit together?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from epochmark.cli._completion import complete_result
from epochmark.cli._guard import EXIT_FAILED, described

if TYPE_CHECKING:
    from epochmark.judge.check import Checked

DISCLAIMER = "This proves consistency, not authenticity: a carefully forged record passes."


@described(
    """Recompute figures and findings; report what does not match.

    Exit code 0: intact, consistent and plausible; 1: it is not, or today's rules trust it less
    than those it was judged by; 2: not an epochmark file.
    """
)
def check(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="A bundle, a record, or what 'run --json' printed; - reads it from standard "
            "input. Also an engine (its newest run here) or the id of a record or race.",
            autocompletion=complete_result,
        ),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    from epochmark.api import check as check_file
    from epochmark.cli._console import print_json

    results = check_file(_source(file))
    wrong = [result for result in results if result.problems]
    if json:
        print_json(
            {
                "consistent": not wrong,
                "records": [
                    {
                        "id": result.name,
                        "problems": result.problems,
                        "differences": result.differences,
                    }
                    for result in results
                ],
            }
        )
    else:
        _print(results, consistent=not wrong)
    if wrong:
        raise typer.Exit(EXIT_FAILED)


def _source(named: str) -> Path | BinaryIO:
    """The file of that name, else that of the record which is called so."""
    from epochmark.api.naming import is_file, stored_document, stored_run
    from epochmark.cli._records import STANDARD_INPUT, opened
    from epochmark.engines import engine_names

    is_path = named == STANDARD_INPUT or is_file(named) or "/" in named or Path(named).exists()
    if is_path and named not in engine_names():
        return opened(named)
    found = stored_document(named)
    return stored_run(named).file if found is None else found.file


def _print(results: list[Checked], consistent: bool) -> None:
    from epochmark.cli._console import say
    from epochmark.cli._records import counted_documents

    for result in results:
        sentences = [*result.problems, *result.differences]
        if sentences:
            say(f"{result.name}:", *(f"  - {sentence}" for sentence in sentences))
    if consistent:
        checked = [result.document for result in results]
        say(f"{counted_documents(checked)}: intact, consistent and plausible.")
    say(DISCLAIMER)
