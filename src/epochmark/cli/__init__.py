"""The command line: one thin file per command; the only place that prints or exits."""

from __future__ import annotations

import typer

from epochmark._version import __version__
from epochmark.cli._console import abandon_stdout
from epochmark.cli._guard import EXIT_FAILED, complain
from epochmark.cli._program import Group, add_commands
from epochmark.cli.commands import (
    check,
    compare,
    data,
    engines,
    explain,
    fleet,
    limits,
    plot,
    report,
    results,
    run,
    table,
    workloads,
)
from epochmark.cli.commands.boards import board, share
from epochmark.cli.commands.this_machine import doctor, history, machine, race, scale

app = typer.Typer(
    name="epochmark",
    cls=Group,
    help="How fast does this machine train a neural network, and can the number be believed?\n\n"
    "Start with: epochmark run",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"epochmark {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Show the version."
    ),
) -> None:
    """Options of the program itself."""


add_commands(
    app,
    {
        "run": run.run,
        "race": race.race,
        "scale": scale.scale,
        "machine": machine.machine,
        "doctor": doctor.doctor,
        "limits": limits.limits,
    },
)
app.add_typer(engines.app, name="engines")
app.add_typer(results.app, name="results")
add_commands(
    app,
    {
        "table": table.table,
        "report": report.report,
        "plot": plot.plot,
        "check": check.check,
        "compare": compare.compare,
        "explain": explain.explain,
        "history": history.history,
    },
)
app.add_typer(fleet.app, name="fleet")
app.add_typer(data.app, name="data")
app.add_typer(workloads.app, name="workloads")
add_commands(app, {"share": share.share})
app.add_typer(board.app, name="board")


def main() -> None:
    """Entry point of the ``epochmark`` command."""
    try:
        app(prog_name="epochmark")
    except OSError as error:  # the help text could not be written; commands say it themselves
        abandon_stdout()
        complain(f"standard output cannot be written: {error.strerror}")
        raise SystemExit(EXIT_FAILED) from None
