"""The program and its commands: their help, and what they say of a wrong command line."""

from __future__ import annotations

import ast
import difflib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from epochmark.cli._completion import complete_workload
from epochmark.cli._console import remark
from epochmark.cli._guard import complain, guarded, prepare_streams
from epochmark.errors import EpochmarkError, unknown

EXIT_WRONG_COMMAND = 2
TAKES = {"int": "a whole number", "integer": "a whole number", "float": "a number"}
"""By the name that click, or typer's own copy of it, gives to a type."""
WRONG_VALUE = re.compile(r"(?P<value>'.*'|\".*\") is not ", re.DOTALL)
"""How either begins to say that a value is not of a type."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
TrainedOption = Annotated[
    str,
    typer.Option(
        "--workload",
        "-w",
        metavar="NAME",
        help="What to train, see 'epochmark workloads'.",
        autocompletion=complete_workload,
    ),
]

_WrongCommandLine: type[Exception] = typer.BadParameter.__mro__[1]
"""UsageError of the click that typer uses: its own copy, or the package, by version."""


class Command(TyperCommand):
    """A command whose help names arguments without the types of Python."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_parameters(self, ctx, formatter)


class Group(TyperGroup):
    """A group of commands, with help likewise, and one style of error."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        _write_parameters(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        word = args[0]
        if word not in self.commands and word[:1] != "-" and not ctx.resilient_parsing:
            raise unknown("command", word, self.list_commands(ctx))
        return super().resolve_command(ctx, args)

    def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Run the command line, and unless ``standalone_mode`` is false, exit."""
        if not extra.pop("standalone_mode", True):
            return super().main(args, standalone_mode=False, **extra)
        prepare_streams()
        try:
            status = super().main(args, standalone_mode=False, **extra)
        except EpochmarkError as error:
            complain(error)
            status = error.exit_code
        except _WrongCommandLine as error:
            _tell_wrong(error)
            status = EXIT_WRONG_COMMAND
        except typer.Abort:
            status = 1
        sys.exit(status if isinstance(status, int) else 0)


def group(text: str, by_default: Callable[..., None] | None = None) -> typer.Typer:
    """A group of commands that does ``by_default`` what one of them does; one whose default takes
    more than ``--json`` has a callback of its own."""
    app = typer.Typer(cls=Group, help=text, invoke_without_command=True, rich_markup_mode=None)
    if by_default is None:
        return app

    @app.callback()
    def _by_default(context: typer.Context, json: JsonOption = False) -> None:
        if context.invoked_subcommand is None:
            guarded(by_default)(json=json)

    return app


def add_commands(app: typer.Typer, commands: Mapping[str, Callable[..., None]]) -> None:
    """Give ``app`` these commands, by the word that calls each."""
    for name, command in commands.items():
        app.command(name, cls=Command)(guarded(command))


def _write_parameters(command: TyperCommand | TyperGroup, ctx: Any, formatter: Any) -> None:
    """Arguments and options with their help. What typer adds to an argument's name in angle
    brackets is a type of Python's."""
    rows: dict[str, list[tuple[str, str]]] = {"argument": [], "option": []}
    for parameter in command.get_params(ctx):
        row = parameter.get_help_record(ctx)
        if row is not None:
            kind = parameter.param_type_name
            name = row[0].partition(" <")[0] if kind == "argument" else row[0]
            rows[kind].append((name, row[1]))
    for kind, lines in rows.items():
        if lines:
            with formatter.section(f"{kind.capitalize()}s"):
                formatter.write_dl(lines)


def _tell_wrong(error: Any) -> None:
    """What is wrong on the command line, and where help is; of ``epochmark`` alone the help."""
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return
    complain(_wrong(error))
    if error.ctx is not None:
        remark(f"'{error.ctx.command_path} --help' lists its options.")


def _wrong(error: Any) -> str:
    """The sentence about an error that click or typer raised."""
    kind, message = type(error).__name__, str(error.message)
    if kind == "NoSuchOption":
        close = difflib.get_close_matches(error.option_name, error.possibilities or (), n=1)
        meant = f" (did you mean {close[0]}?)" if close else ""
        return f"there is no option {error.option_name}{meant}"
    if kind == "BadOptionUsage":
        takes = "takes no value" if "does not take" in message else "needs a value"
        return f"{error.option_name} {takes}"
    too_many = re.match(r"Got unexpected extra argument\S* \((.*)\)", message, re.DOTALL)
    if too_many:
        return f"too many arguments: {too_many[1]}"
    parameter = getattr(error, "param", None)
    if parameter is None:
        return str(error.format_message())
    name = _name_of(parameter)
    if kind == "MissingParameter":
        return f"{name} is missing"
    return _wrong_value(name, parameter, error)


def _name_of(parameter: Any) -> str:
    """An option as it is typed, an argument as the help calls it."""
    if parameter.param_type_name == "option":
        return str(max(parameter.opts, key=len))
    return str(parameter.metavar or parameter.name.upper())


def _wrong_value(name: str, parameter: Any, error: Any) -> str:
    """What an option or argument takes."""
    said = WRONG_VALUE.match(str(error.message))
    if said is None:
        return f"{name}: {error.message}"
    choices = getattr(parameter.type, "choices", ())
    if choices:
        words = [str(choice.value if isinstance(choice, Enum) else choice) for choice in choices]
        return str(unknown(name.lstrip("-"), ast.literal_eval(said["value"]), words))
    takes = TAKES.get(parameter.type.name)
    if takes is None:
        return f"{name} does not take {said['value']}"
    return f"{name} takes {takes}, not {said['value']}"
