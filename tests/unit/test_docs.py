"""What the documentation says exists, and what exists is in the documentation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from epochmark.bench.request import public_engines
from epochmark.cli import app
from epochmark.engines import get_engine
from epochmark.report.charts import all_charts
from tools import write_docs

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def commands(command: Any = None, path: str = "epochmark") -> Iterator[tuple[str, Any]]:
    """Every command and group with the words that call it."""
    command = command or typer.main.get_command(app)
    yield path, command
    for name, member in getattr(command, "commands", {}).items():
        yield from commands(member, f"{path} {name}")


def section_of(path: str) -> str:
    """The part of docs/cli.md about a command or its group."""
    page = (DOCS / "cli.md").read_text("utf-8")
    if path == "epochmark":
        return page
    heading = "## " + " ".join(path.split()[:2])
    (section,) = [
        part for part in re.split(r"(?m)^(?=## )", page) if re.match(rf"{heading}\b", part)
    ]
    return section


@pytest.mark.parametrize("path", [path for path, _ in commands()])
def test_every_command_and_option_is_documented(path: str) -> None:
    command = dict(commands())[path]
    section = section_of(path)
    assert path.rsplit(maxsplit=1)[-1] in section
    options = [name for parameter in command.params for name in parameter.opts if name[:2] == "--"]
    assert [name for name in options if name not in section] == []


def test_every_documented_option_exists() -> None:
    exist = {name for _, command in commands() for p in command.params for name in p.opts}
    documented = set(re.findall(r"`(--[a-z-]+)", (DOCS / "cli.md").read_text("utf-8")))
    assert documented - exist == {"--help"}


def test_the_environment_variables_are_those_of_the_code() -> None:
    sources = (file.read_text("utf-8") for file in (ROOT / "src").rglob("*.py"))
    used = {name for text in sources for name in re.findall(r'"(EPOCHMARK_[A-Z_]+)"', text)}
    documented = set(re.findall(r"`(EPOCHMARK_[A-Z_]+)`", (DOCS / "cli.md").read_text("utf-8")))
    assert documented == used - {"EPOCHMARK_FAKE"}  # only tests the tool


@pytest.mark.parametrize("name", write_docs.SCHEMAS)
def test_a_published_schema_is_that_of_the_code(name: str) -> None:
    assert (DOCS / name).read_text("utf-8") == write_docs.schema_text(name), "run: make docs"


@pytest.mark.parametrize("page", write_docs.GENERATED)
def test_generated_tables_are_those_of_the_code(page: str) -> None:
    text = (DOCS / page).read_text("utf-8")
    assert text == write_docs.written(page, text), "run: make docs"


def test_every_field_of_the_record_is_documented() -> None:
    page = (DOCS / "record-format.md").read_text("utf-8")
    named = {word for name in re.findall(r"`([a-z0-9_.\[\]]+)`", page) for word in name.split(".")}
    named |= {word.removesuffix("[]") for word in named}
    parts = write_docs.record_schema()["$defs"].items()
    missing = [f"{part}.{name}" for part, spec in parts for name in spec["properties"]]
    assert [name for name in missing if name.split(".")[1] not in named] == []


def test_every_device_of_every_engine_is_documented() -> None:
    """With a word on whether it has been seen; a device that is not offered says so."""
    page = (DOCS / "engines.md").read_text("utf-8")
    table = page.split("| engine | device | through | seen |")[1].split("\n<!--")[0]
    documented: dict[str, set[str]] = {}
    engine = ""
    for line in table.splitlines()[2:]:
        name, device, through, seen = (cell.strip() for cell in line.strip("|").split("|"))
        engine = name or engine
        if not through.startswith("not offered"):
            assert seen, line
            documented.setdefault(engine, set()).add(device)
    infos = [get_engine(name).info for name in public_engines()]
    assert documented == {info.name: set(info.device_kinds) for info in infos}


def test_the_charts_are_documented_in_the_order_of_the_report() -> None:
    table = (DOCS / "report.md").read_text("utf-8").split("| name | shows |")[1].split("\n\n")[0]
    assert re.findall(r"(?m)^\| `([a-z-]+)`", table) == [chart.name for chart in all_charts()]


PAGES = sorted(ROOT.glob("*.md")) + sorted(DOCS.rglob("*.md"))


def without_code(page: Path) -> str:
    """The text of a page without its code blocks."""
    return re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", without_code(page))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def anchors_of(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings: lower case, hyphens, no punctuation."""
    headings = re.findall(r"(?m)^#+ (.*)$", without_code(page))
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_anchors_are_those_of_headings(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:|mailto:)([^)#\s]*)#([^)\s]+)\)", without_code(page))
    targets = [(page.parent / path if path else page, anchor) for path, anchor in links]
    assert [
        f"{target}#{anchor}" for target, anchor in targets if anchor not in anchors_of(target)
    ] == []


def test_pages_that_the_code_names_exist() -> None:
    folders = [ROOT / name for name in ("src", "tests", "tools", "benchmarks")]
    files = [file for folder in folders for file in folder.rglob("*.py")]
    named = {
        (page, file.name)
        for file in files
        for page in re.findall(r"\bdocs/[\w/-]+\.(?:md|json)", file.read_text("utf-8"))
    }
    assert [(page, name) for page, name in sorted(named) if not (ROOT / page).exists()] == []


def test_the_chinese_readme_keeps_in_step() -> None:
    """The same commands, the same output, the same links and as many sections."""
    english, chinese = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")
    )
    for pattern in (r"^ {4}.+$", r"^```.*?^```$", r"\]\((docs/[^)]+)\)"):
        found = [
            re.findall(pattern, text, re.MULTILINE | re.DOTALL if "`" in pattern else re.MULTILINE)
            for text in (english, chinese)
        ]
        assert found[0]
        assert sorted(found[0]) == sorted(found[1])
    assert english.count("\n## ") == chinese.count("\n## ")
