"""The command line: one thin file per command; the only place that prints or exits."""

from __future__ import annotations

import typer

from epochmark._version import __version__
from epochmark.cli._console import abandon_stdout
from epochmark.cli._guard import EXIT_FAILED, complain, guarded
from epochmark.cli.commands import (
    check,
    compare,
    data,
    engines,
    explain,
    limits,
    plot,
    report,
    results,
    run,
    table,
)
from epochmark.cli.commands.this_machine import doctor, history, machine

app = typer.Typer(
    name="epochmark",
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


app.command("run")(guarded(run.run))
app.command("machine")(guarded(machine.machine))
app.command("doctor")(guarded(doctor.doctor))
app.command("limits")(guarded(limits.limits))
app.add_typer(engines.app, name="engines")
app.add_typer(results.app, name="results")
app.command("table")(guarded(table.table))
app.command("report")(guarded(report.report))
app.command("plot")(guarded(plot.plot))
app.command("check")(guarded(check.check))
app.command("compare")(guarded(compare.compare))
app.command("explain")(guarded(explain.explain))
app.command("history")(guarded(history.history))
app.add_typer(data.app, name="data")


def main() -> None:
    """Entry point of the ``epochmark`` command."""
    try:
        app(prog_name="epochmark")
    except OSError as error:  # the help text could not be written; commands tell it themselves
        abandon_stdout()
        complain(f"standard output cannot be written: {error.strerror}")
        raise SystemExit(EXIT_FAILED) from None
