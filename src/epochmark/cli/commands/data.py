"""``epochmark data``: where the training data are, and fetching them ahead of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from epochmark.cli._guard import described, guarded

app = typer.Typer(
    help="Show or fetch the training data (MNIST, verified by its published sums).",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@described("""Tell where MNIST is cached, whether it is whole, and which other copies are here.""")
def status(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
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
        say("'epochmark data fetch' gets it; 'epochmark run' does so by itself.")


@described("""Get MNIST, verify it and cache it, so that a later run needs no network.""")
def fetch(
    data: Annotated[
        Path | None,
        typer.Option("--data", help="Take MNIST from this file or folder.", show_default=False),
    ] = None,
) -> None:
    from epochmark.cli._console import say
    from epochmark.cli._progress import transfer_progress
    from epochmark.datasets import get_mnist

    with transfer_progress() as progress:
        folder = get_mnist(data, progress)
    say(f"MNIST is verified in {folder}")


app.command("status")(guarded(status))
app.command("fetch")(guarded(fetch))
