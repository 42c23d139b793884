"""``epochmark compare``: which of two is faster, by how much, and can one say so?"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._completion import complete_run
from epochmark.cli._guard import EXIT_FAILED, described
from epochmark.cli._records import WithOption

if TYPE_CHECKING:
    from epochmark.analysis.comparing.comparison import Side
    from epochmark.records.record import Record

EXIT_UNDECIDED = 3
MOST_PERCENT = 1000

SideArgument = Annotated[
    str,
    typer.Argument(
        help="An engine (its newest valid run here, else its newest disturbed one), a record's id "
        "or file, or the id of a published machine.",
        autocompletion=complete_run,
    ),
]


@described(
    """Tell how many times as fast A is as B, with an interval, or why that cannot be told.

    Two engines are compared on one machine, two machines under one engine. Of disturbed runs it
    says what can be said, without ranking them. With --fail-slower, for scripts: exit code 1: B is
    slower than A by more than that; 0: it is not; 3: undecided, the interval holds the limit, a run
    was disturbed, or the two are not comparable.
    """
)
def compare(
    a: SideArgument,
    b: SideArgument,
    bundles: WithOption = None,
    fail_slower: Annotated[
        str | None,
        typer.Option(
            "--fail-slower",
            metavar="PERCENT",
            help="Exit with 1 if B takes longer than A by more than this, such as 3%.",
            show_default=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    from epochmark.analysis.comparing.comparison import compare as compare_sides
    from epochmark.analysis.comparing.regression import regression
    from epochmark.cli._console import print_json, say
    from epochmark.report.text.comparison import (
        comparison_lines,
        regression_text,
        verdict_text,
    )

    allowed = None if fail_slower is None else _share(fail_slower)
    earlier, later = (_side(named, bundles or []) for named in (a, b))
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


def _share(text: str) -> float:
    """A percentage as a share. Raises ``EpochmarkError`` (exit code 2) for what is none."""
    from epochmark.errors import EpochmarkError

    with contextlib.suppress(ValueError):
        percent = float(text.strip().removesuffix("%"))
        if 0 <= percent <= MOST_PERCENT:
            return percent / 100
    raise EpochmarkError(
        f"--fail-slower wants a percentage from 0% to {MOST_PERCENT}%, such as 3%; not {text!r}",
        exit_code=2,
    )


def _side(named: str, bundles: Sequence[Path]) -> Side:
    """What the user named, tried as a file, an engine, a published machine and a record's id, in
    the bundles first; of a record that is also the user's own that one, since it has the machine's
    id."""
    from epochmark.analysis.comparing.comparison import side_of_record, side_of_reference
    from epochmark.analysis.comparing.references import load_references
    from epochmark.cli._records import record_of_bundles, record_of_file
    from epochmark.engines import engine_names
    from epochmark.judge.results import ResultFiles

    if named.endswith(".json"):
        file = Path(named)
        return side_of_record(record_of_file(file), file.stem)
    if named in engine_names():
        record = _newest_usable(named)
        return side_of_record(record, f"{named} ({record.id[:8]})")
    for reference in load_references():
        if reference.id == named:
            return side_of_reference(reference)
    files, exported = ResultFiles.of_user(), record_of_bundles(named, bundles)
    if exported is None:
        record = files.find(named).record
    else:
        own = {stored.record.id: stored.record for stored in files.load()[0]}
        record = own.get(exported.id, exported)
    return side_of_record(record, f"{record.engine.name} ({record.id[:8]})")


def _newest_usable(engine: str) -> Record:
    """The newest valid run of an engine, else the newest disturbed one, this machine's before
    others. Raises ``EpochmarkError`` when there is neither."""
    from epochmark.errors import EpochmarkError
    from epochmark.hardware.machine import describe_machine, machine_id
    from epochmark.judge.results import ResultFiles
    from epochmark.report.subject import measured_here

    files = ResultFiles.of_user()
    stored, _ = files.load()
    of_engine = [one.record for one in stored if one.record.engine.name == engine]
    for validity in ("valid", "disturbed"):
        usable = [record for record in of_engine if record.headline.validity == validity]
        if usable:
            own = describe_machine(machine_id(files.folder))
            return measured_here(usable, own)[-1]
    raise EpochmarkError(
        f"none of the {len(of_engine)} results of {engine} in {files.folder} can be compared; "
        f"'epochmark run {engine}' measures it, and 'epochmark results' shows what there is",
        exit_code=2,
    )
