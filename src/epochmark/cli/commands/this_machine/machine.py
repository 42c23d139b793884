"""``epochmark machine``: what this machine is, and the devices its engines see."""

from __future__ import annotations

from typing import Annotated

import typer

from epochmark.cli._guard import described


@described(
    """Describe this machine and the devices that each engine sees.

    Asking an engine imports its framework in a separate process, which takes seconds, so its answer
    is kept until its environment or a driver changes.
    """
)
def machine(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    refresh: Annotated[
        bool,
        typer.Option("--refresh", help="Ask every engine again instead of showing kept answers."),
    ] = False,
) -> None:
    import msgspec

    from epochmark.cli._console import print_json, say
    from epochmark.cli._probing import probe_engines
    from epochmark.hardware.gpus.described import gpus_here
    from epochmark.hardware.machine import describe_machine
    from epochmark.report.tables.engines import asked_note, device_lines
    from epochmark.report.text.machine import machine_lines

    described = describe_machine(None, gpus=gpus_here())
    if json:
        print_json({**msgspec.to_builtins(described), "engines": probe_engines(refresh)})
        return
    say(*machine_lines(described), "")
    statuses = probe_engines(refresh)
    say("devices the engines can train on:", *(f"  {line}" for line in device_lines(statuses)))
    absent = [status.engine for status in statuses if status.state != "ready"]
    if absent:
        say(f"not ready: {', '.join(absent)}; 'epochmark engines' says why")
    if asked := asked_note(statuses):
        say(asked)
