"""``epochmark workloads``: what can be trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from epochmark.cli._completion import complete_workload
from epochmark.cli._guard import described
from epochmark.cli._program import JsonOption, add_commands, group

if TYPE_CHECKING:
    from epochmark.records.record import Record


@described("""List the workloads: size, time of a whole run, engines.

    The time is that of the fastest valid run on this machine; without one it is estimated from a
    run of another workload, and marked as an estimate.
    """)
def list_workloads(json: JsonOption = False) -> None:
    from epochmark.cli._console import print_json, say
    from epochmark.cli._tables import print_rows
    from epochmark.report.text import workloads as text
    from epochmark.workloads import WORKLOADS, damaged_workloads

    known, records = list(WORKLOADS.values()), _own_records()
    if json:
        found = [text.workload_document(workload, records) for workload in known]
        broken = [
            {"name": damaged.name, "problem": damaged.problem} for damaged in damaged_workloads()
        ]
        print_json([*found, *broken])
        return
    print_rows(text.WORKLOAD_COLUMNS, text.workload_rows(known, records))
    say("", *text.summary_lines(known))
    for damaged in damaged_workloads():
        say(f"{damaged.name} cannot be used: {damaged.problem}")


@described("""Show one workload in full: data, layers, parameters, optimizer.""")
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
    return list(measured_here([run.record for run in stored], machine))


app = group("List the workloads: what can be trained, how much work it is.", list_workloads)
add_commands(app, {"list": list_workloads, "show": show})
