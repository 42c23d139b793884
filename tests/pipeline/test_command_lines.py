"""The command lines of docs/cli.md: today's and older ones are understood, cheap ones run."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

from epochmark.cli import app
from tests.pipeline.in_process import call
from tests.pipeline.program import Program

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"

VALUES = {
    "ENGINE": "fake", "NAME": "torch", "RUN": "fake", "ID": "0123", "FILE": "bundle.json",
    "A": "torch", "B": "jax", "N": "2", "N,N,...": "32,64", "PATH": "there", "SECONDS": "30",
    "TEXT": "mine", "FILE.html": "page.html", "FILE.svg": "plot.svg", "png": "plot.png",
    "ADDRESS": "localhost:6379", "FOLDER": "there", "PERCENT": "3%",
    "COLUMN": "engine", "NAME,...": "threads",
    "FIELD=VALUE": "engine=torch", "gpu:N": "gpu:1", "...": "xpu",
}  # fmt: skip
"""What stands on the page in the place of something typed, and something that may be typed."""


def forms(text: str) -> Iterator[str]:
    """The command lines that a heading stands for: one of several, with and without what is in
    brackets."""
    group = re.fullmatch(r"(\S+ \S+) \[(\w.*\|.*)\]", text)
    if group:
        yield group[1]
        parts = re.split(r"\|(?![^\[]*\])", group[2])
        yield from itertools.chain.from_iterable(forms(f"{group[1]} {part}") for part in parts)
    elif "[" in text:
        yield from forms(re.sub(r" \[[^\]]*\]", "", text))
        yield from forms(re.sub(r" \[([^\]]*)\]", r" \1", text))
    else:
        yield " ".join(VALUES.get(word.removesuffix("..."), word) for word in text.split())


def of_the_page() -> Iterator[str]:
    """Each form of each heading, and each row of its tables with a value of each kind."""
    for section in re.split(r"(?m)^## (?=epochmark )", PAGE.read_text("utf-8"))[1:]:
        heading = section.partition("\n")[0]
        found = [*forms(heading)]
        yield from found
        base = found[-1]
        for line in section.splitlines():
            if sub := re.match(r"\| option of `(\w+)` ", line):
                base = next(form for form in found[::-1] if f" {sub[1]}" in form)
            elif row := re.match(r"\| (`-.*?`) \|", line):
                option, _, value = row[1].split("`")[-2].partition(" ")
                kinds = value.split(r"\|") if value else [""]
                yield from (f"{base} {option} {VALUES.get(kind, kind)}".strip() for kind in kinds)


OF_NOVEMBER_2026 = """
epochmark run
epochmark run torch jax
epochmark run --all --device all
epochmark run native --device cpu --precision float32 --threads 2 --seed 7 --label mine
epochmark run torch --device gpu:1 --tuning tuned --retune
epochmark run torch --tuning both --python there
epochmark run --epochs 2 --batch 256 --data there --patience 60 --anyway
epochmark run --steps 20 --json --no-save
epochmark run --quick --repeat 3
epochmark run --settle
epochmark run torch --sweep-batch --batches 32,64 --device all --json
epochmark machine --json
epochmark limits
epochmark limits torch --device all --python there --anyway
epochmark limits --show --json
epochmark engines
epochmark engines --json
epochmark engines list --json
epochmark engines install torch jax --accelerator cpu --python there --json
epochmark engines install --all
epochmark engines remove torch
epochmark results
epochmark results list --json
epochmark results show 0123 --json
epochmark results rm 0123 --json
epochmark results export bundle.json
epochmark results export bundle.json 0123 4567 --machine-id
epochmark results import bundle.json --json
epochmark table --format html --long
epochmark table --sort -engine --filter chip=M1 --filter validity=valid
epochmark report
epochmark report 0123 --output page.html --with bundle.json --with other.json
epochmark plot speed 0123 -o plot.svg --dark --with bundle.json
epochmark plot --list
epochmark check bundle.json --json
epochmark compare torch jax --json
epochmark compare 0123 record.json --with bundle.json
epochmark explain
epochmark explain 0123 --json
epochmark data status --json
epochmark data fetch --data there
""".strip().splitlines()
"""One for each command and option of the page as it was then: none of them may ever be refused."""


@cache
def recorder() -> tuple[Any, list[str]]:
    """The program with all callbacks replaced, and the list in which each notes its command."""
    called: list[str] = []
    program: Any = typer.main.get_command(app)

    def replace(part: Any, path: str) -> None:
        for name, member in getattr(part, "commands", {}).items():
            replace(member, f"{path} {name}".strip())
        if not hasattr(part, "commands") or part.invoke_without_command:
            part.callback = lambda **options: called.append(path)

    replace(program, "")
    return program, called


def understood(line: str) -> list[str]:
    """Which command was called; typer raises for what it refuses."""
    program, called = recorder()
    called.clear()
    program.main(shlex.split(line)[1:], prog_name="epochmark", standalone_mode=False)
    return [*called]


@pytest.mark.parametrize("line", sorted({*of_the_page(), *OF_NOVEMBER_2026}))
def test_a_command_line_is_understood(line: str) -> None:
    called = understood(line)
    assert line.removeprefix("epochmark ").startswith(called[-1])


def test_the_page_has_them_all() -> None:
    lines = [*of_the_page()]
    assert "epochmark run fake --device gpu:1" in lines
    assert "epochmark results export bundle.json fake" in lines
    assert "epochmark engines install torch --all" in lines
    assert "epochmark plot torch fake --output plot.png" in lines
    assert len(lines) > 80


CHEAP = """
epochmark --help
epochmark -h
epochmark --version
epochmark run fake --steps 20 --json --no-save --anyway
epochmark run fake --epochs 1 --repeat 2 --json --anyway
epochmark results
epochmark results list --json
epochmark results show fake
epochmark results show ID --json
epochmark results export bundle.json fake
epochmark results export some.json ID native --machine-id
epochmark check bundle.json
epochmark check bundle.json --json
epochmark check fake
epochmark results import bundle.json
epochmark table
epochmark table --long
epochmark table --format markdown
epochmark table --format html
epochmark table --format csv --filter engine=fake
epochmark table --format json --sort -engine
epochmark report -o page.html
epochmark report ID native --output page.html --with bundle.json
epochmark plot --list
epochmark plot speed native -o plot.svg --dark
epochmark compare ID fake
epochmark compare fake gtx-1080-ti --with bundle.json --json
epochmark explain
epochmark explain native --json
epochmark explain ID
epochmark data
epochmark data --json
epochmark data status
epochmark engines --help
epochmark results rm ID --json
""".strip().splitlines()


@pytest.mark.filterwarnings("default:skipped")
def test_cheap_command_lines_run(filled: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in filled.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(filled.folder)
    valid = [record for record in filled.records() if record["headline"]["validity"] == "valid"]
    for line in CHEAP:
        words = [valid[0]["id"][:8] if word == "ID" else word for word in line.split()[1:]]
        code, out, err = call(*words)
        assert code == 0, (line, out, err)
        assert out, line
