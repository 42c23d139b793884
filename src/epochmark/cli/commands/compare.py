"""``epochmark compare``: which of two is faster, by how much, and can one say so?"""

from __future__ import annotations

import contextlib
from typing import Annotated

import typer

from epochmark.cli._completion import complete_run, complete_workload
from epochmark.cli._guard import EXIT_FAILED, described
from epochmark.cli._program import JsonOption
from epochmark.cli._records import WithOption
from epochmark.cli.commands.boards._standing import CHIP, compare_with_chip
from epochmark.errors import EpochmarkError

EXIT_UNDECIDED = 3
MOST_PERCENT = 1000

HELP = (
    "An engine (its newest valid run here, else its newest disturbed one), a record's id or file, "
    "or the id of a published machine."
)


@described(
    """Compare A with B: ratio of speeds, with an interval.

    Or say why they cannot be compared. Compare two engines on one machine, or two machines with
    one engine. With chip:NAME for B, see where A stands among the machines with that chip on a
    board, to which nothing of A but its comparability key goes. Exit code 3: it has nothing
    comparable. Disturbed runs are compared, but not ranked. With --fail-slower,
    for scripts: exit code 1: B is slower than A by more than that; 0: it is not; 3: undecided, the
    interval holds the limit, a run was disturbed, or the two are not comparable.
    """
)
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=HELP, autocompletion=complete_run)],
    b: Annotated[
        str,
        typer.Argument(
            metavar="B",
            help="Likewise, or chip:NAME for the machines of a board.",
            autocompletion=complete_run,
        ),
    ],
    bundles: WithOption = None,
    workload: Annotated[
        str,
        typer.Option(
            "--workload",
            "-w",
            metavar="NAME",
            help="Which runs an engine stands for.",
            autocompletion=complete_workload,
        ),
    ] = "mnist-cnn",
    fail_slower: Annotated[
        str | None,
        typer.Option(
            "--fail-slower",
            metavar="PERCENT",
            help="Exit with 1 if B takes longer than A by more than this, such as 3%.",
            show_default=False,
        ),
    ] = None,
    board: Annotated[
        str | None,
        typer.Option(
            "--board",
            metavar="URL",
            help="The board that chip:NAME asks. Default: the board on this machine.",
            show_default=False,
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    from epochmark.analysis.comparing.comparison import compare as compare_sides
    from epochmark.analysis.comparing.regression import regression
    from epochmark.api.answers import side_called
    from epochmark.cli._console import print_json, say
    from epochmark.report.text.comparison import (
        comparison_lines,
        regression_text,
        verdict_text,
    )

    if b.startswith(CHIP) or board is not None:
        if not b.startswith(CHIP) or fail_slower is not None:
            raise _wrong_use()
        compare_with_chip(side_called(a, bundles or (), workload), b, board, json=json)
        return
    allowed = None if fail_slower is None else share_of("--fail-slower", fail_slower)
    earlier, later = (side_called(named, bundles or (), workload) for named in (a, b))
    comparison = compare_sides(earlier, later)
    found = None if allowed is None else regression(comparison, earlier, allowed)
    if json:
        print_json(
            {
                "verdict": comparison.verdict,
                "sentence": verdict_text(comparison),
                "faster": comparison.faster.name,
                "slower": comparison.slower.name,
                "ratio": comparison.ratio,
                "time_to_target_s": {
                    side.name: side.time_to_target_s
                    for side in (comparison.faster, comparison.slower)
                },
                "reasons": comparison.reasons,
                "differences": comparison.differences,
                **({} if found is None else {"fail_slower": found}),
            }
        )
    else:
        say(*comparison_lines(comparison))
        if found is not None:
            say("", regression_text(found, earlier.name, later.name))
    if found is not None and found.verdict != "within":
        raise typer.Exit(EXIT_FAILED if found.verdict == "slower" else EXIT_UNDECIDED)


def _wrong_use() -> EpochmarkError:
    return EpochmarkError(
        f"--board goes with {CHIP}NAME for B, and --fail-slower with two runs", exit_code=2
    )


def share_of(option: str, text: str) -> float:
    """An option's percentage as a share. Raises ``EpochmarkError`` (exit code 2) for another
    text."""
    with contextlib.suppress(ValueError):
        percent = float(text.strip().removesuffix("%"))
        if 0 <= percent <= MOST_PERCENT:
            return percent / 100
    raise EpochmarkError(
        f"{option} wants a percentage from 0% to {MOST_PERCENT}%, such as 3%; not {text!r}",
        exit_code=2,
    )
