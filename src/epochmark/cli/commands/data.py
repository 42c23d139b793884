"""``epochmark data``: where the training data are, and fetching them ahead of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from epochmark.cli._guard import described
from epochmark.cli._program import JsonOption, add_commands, group


@described(
    """Show where MNIST is stored, and whether it is intact.

    Other copies on this machine are listed as well.
    """
)
def status(json: JsonOption = False) -> None:
    from epochmark.cli._console import print_json, say
    from epochmark.datasets import mnist_status

    found = mnist_status()
    if json:
        print_json(found)
        return
    damage = f": {found.detail}" if found.detail else ""
    say(f"cache      {found.folder}", f"state      {found.state}{damage}")
    if found.size_bytes:
        say(f"size       {found.size_bytes / 2**20:.1f} MiB")
    if found.named:
        say(f"named      {found.named} (EPOCHMARK_DATA: the only source used)")
    say(*(f"also here  {source}" for source in found.local_sources))
    if found.state != "verified" and not found.named:
        say("'epochmark data fetch' downloads it, and so does 'epochmark run'.")


@described("""Fetch and verify MNIST now, so that runs need no network.""")
def fetch(
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="PATH",
            help="Take MNIST from this file or folder.",
            show_default=False,
        ),
    ] = None,
) -> None:
    from epochmark.cli._console import say
    from epochmark.cli._progress import transfer_progress
    from epochmark.datasets import get_mnist

    with transfer_progress() as progress:
        folder = get_mnist(data, progress)
    say(f"MNIST is verified in {folder}")


app = group("Show or fetch the training data (MNIST, verified by checksums).", status)
add_commands(app, {"status": status, "fetch": fetch})
