"""``epochmark fleet``: many machines of one kind."""

from __future__ import annotations

from epochmark.cli._program import add_commands, group
from epochmark.cli.commands.fleet.report import report
from epochmark.cli.commands.fleet.run import run

app = group("Many machines of one kind: which of them are slow, and why.")

add_commands(app, {"report": report, "run": run})
