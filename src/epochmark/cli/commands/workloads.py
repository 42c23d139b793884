"""``epochmark workloads`` and ``epochmark data``: what is trained, and what it is trained on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._completion import complete_workload
from epochmark.cli._guard import described, guarded

if TYPE_CHECKING:
    from epochmark.records.record import Record

app = typer.Typer(
    help="List the workloads: what can be trained, how much work it is, and who offers it.",
    invoke_without_command=True,
    rich_markup_mode=None,
)
data_app = typer.Typer(
    help="Show or fetch the training data (MNIST, verified by its published sums).",
    no_args_is_help=True,
    rich_markup_mode=None,
)

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.callback()
def _list_by_default(context: typer.Context, json: JsonOption = False) -> None:
    if context.invoked_subcommand is None:
        guarded(list_workloads)(json=json)


@described(
    """List the workloads with their size, how long a whole run takes here, and the engines.

    The time is that of the fastest valid run on this machine; without one it is estimated from a
    run of another workload, and marked as an estimate.
    """
)
def list_workloads(json: JsonOption = False) -> None:
    from epochmark.cli._console import print_json, say
    from epochmark.cli._tables import print_rows
    from epochmark.report.text import workloads as text
    from epochmark.workloads import WORKLOADS, damaged_workloads

    known, records = list(WORKLOADS.values()), _own_records()
    if json:
        found = [text.workload_document(one, records) for one in known]
        broken = [{"name": one.name, "problem": one.problem} for one in damaged_workloads()]
        print_json([*found, *broken])
        return
    print_rows(text.WORKLOAD_COLUMNS, text.workload_rows(known, records))
    say("", *text.summary_lines(known))
    for one in damaged_workloads():
        say(f"{one.name} cannot be used: {one.problem}")


@described(
    """Show one workload in full: data, layers with shapes, parameters and arithmetic, optimizer."""
)
def show(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Which one.", autocompletion=complete_workload)
    ],
    json: JsonOption = False,
) -> None:
    from epochmark.bench.request import find_workload
    from epochmark.cli._console import print_json, say
    from epochmark.cli._tables import print_rows
    from epochmark.report.text import workloads as text

    workload, records = find_workload(name), _own_records()
    if json:
        print_json(text.workload_document(workload, records))
        return
    say(*text.workload_lines(workload, records), "")
    print_rows(text.LAYER_COLUMNS, text.layer_rows(workload))
    say("", f"MFLOP: forward and backward pass of one of the {workload.samples}.")


def _own_records() -> list[Record]:
    """The runs of this machine; without a folder of results there are none."""
    from epochmark.hardware.machine import describe_machine, machine_id
    from epochmark.judge.results import ResultFiles
    from epochmark.report.subject import measured_here

    files = ResultFiles.of_user()
    if not files.folder.is_dir():
        return []
    stored, _ = files.load()
    machine = describe_machine(machine_id(files.folder))
    return list(measured_here([one.record for one in stored], machine))


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


app.command("list")(guarded(list_workloads))
app.command("show")(guarded(show))
data_app.command("status")(guarded(status))
data_app.command("fetch")(guarded(fetch))
