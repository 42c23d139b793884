"""``epochmark machine``: what this machine is."""

from __future__ import annotations

from typing import Annotated

import typer


def machine(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Describe this machine as records name it: hardware, memory, system."""
    from epochmark.cli._console import print_json, say
    from epochmark.hardware.machine import describe_machine
    from epochmark.report.machine_text import machine_lines

    described = describe_machine(None)
    if json:
        print_json(described)
        return
    say(*machine_lines(described))
