"""The records a command is about: the user's own, or those named, or those of bundles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from epochmark.results.record import Record

IdsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]...", help="Only these records. Default: all.", show_default=False),
]
WithOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--with",
        metavar="FILE",
        help="Also the records in this bundle or record file; may be given several times.",
        show_default=False,
    ),
]


def chosen_records(
    ids: Sequence[str] | None, bundles: Sequence[Path] | None = None
) -> list[Record]:
    """The user's records, or those with these ids, and those in the bundles, each once.

    Raises ``EpochmarkError`` for an id that is none, and for a file that is no whole bundle.
    """
    from epochmark.api import load_results
    from epochmark.cli._tables import warn_unreadable
    from epochmark.results.store import ResultFiles

    files = ResultFiles.of_user()
    if ids:
        records = [files.find(start).record for start in ids]
    else:
        stored, unreadable = files.load()
        warn_unreadable(unreadable)
        records = [one.record for one in stored]
    for bundle in bundles or []:
        records += load_results(bundle)
    return list({record.id: record for record in reversed(records)}.values())[::-1]
