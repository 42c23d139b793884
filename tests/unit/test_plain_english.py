"""What users read is plain English, and what the code says is the field's: the worst phrases and
names of earlier versions stay out."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import epochmark

PACKAGE = Path(epochmark.__file__).parent
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]

OUT = (
    r"anew",
    r"nobody",
    r"told apart",
    r"so many",
    r"leave \S+( \S+){0,5} (away|out)",
    r"is no (tuning|filter|record|bundle|list|device|precision|version|JSON|sentence)\b",
    r"turn about",
    r"too different",
    r"(is|are) another one",
    r"refused to go on",
    r"left unsaid",
    r"tells? of",
    r"what it is about",
)
"""No text needs one of these: there is always an active verb or the field's word for it."""

OUT_OF_DOCSTRINGS = (r"anew", r"nobody", r"told", r"so many", r"turn about", r"of before")

NAMES_OUT = ("one", "told")
"""An item of a list is called what it is: engine, record, lap; so is what was reported."""

FINE = r"there is no (tuning|filter|record|bundle|list|device|precision|version)\b"


def found_in(text: str, out: tuple[str, ...] = OUT) -> list[str]:
    """The phrases of ``out`` in a text, whatever its lines and case."""
    flat = re.sub(FINE, "", " ".join(text.split()), flags=re.IGNORECASE)
    found = (re.search(rf"\b{phrase}", flat, re.IGNORECASE) for phrase in out)
    return [match.group() for match in found if match]


def texts_of(source: str) -> Iterator[tuple[int, str]]:
    """Every string of a module with its line, f-strings whole; of docstrings only those of
    decorated functions: a command's is its help."""
    tree = ast.parse(source)
    silent = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            silent.add(node.value)
        elif isinstance(node, ast.JoinedStr):
            silent.update(node.values)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.decorator_list and ast.get_docstring(node):
            yield node.lineno, ast.get_docstring(node) or ""
        elif isinstance(node, ast.JoinedStr):
            parts = (str(getattr(part, "value", "")) for part in node.values)
            kept = (
                text if isinstance(part, ast.Constant) else "X"
                for part, text in zip(node.values, parts, strict=True)
            )
            yield node.lineno, "".join(kept)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in silent:
            yield node.lineno, node.value


def test_no_text_of_the_program_has_a_phrase_that_is_out() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{line}: {', '.join(phrases)}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for line, text in texts_of(file.read_text(encoding="utf-8"))
        if (phrases := found_in(text))
    ]
    assert found == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_has_a_phrase_that_is_out(page: Path) -> None:
    paragraphs = page.read_text(encoding="utf-8").split("\n\n")
    found = [f"{phrase}: {text[:60]}" for text in paragraphs for phrase in found_in(text)]
    assert found == []


@pytest.mark.parametrize(
    ("source", "phrase"),
    [
        ('say(f"the file {name} "\n    "is another one")', "is another one"),
        ('@app.command()\ndef run():\n    """Leave --steps\n    away."""', "Leave --steps away"),
        ('hint = "nobody knows"', "nobody"),
    ],
)
def test_a_phrase_is_found_across_lines_and_in_help(source: str, phrase: str) -> None:
    assert [phrase in found_in(text) for _, text in texts_of(source)] == [True]


def test_docstrings_of_the_code_are_not_what_users_read() -> None:
    assert list(texts_of('"""Nobody reads it."""\ndef f():\n    """Nobody does."""')) == []


def docstrings_of(source: str) -> Iterator[tuple[int, str]]:
    """Every docstring of a module with its line, also those below a constant or a field."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.lineno, str(node.value.value)


def names_bound(source: str) -> Iterator[tuple[int, str]]:
    """Every variable, loop variable and parameter of a module with its line."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg


def test_no_docstring_has_an_archaic_word() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{line}: {', '.join(phrases)}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for line, text in docstrings_of(file.read_text(encoding="utf-8"))
        if (phrases := found_in(text, OUT_OF_DOCSTRINGS))
    ]
    assert found == []


def test_no_variable_is_called_one() -> None:
    found = [
        f"{file.relative_to(PACKAGE)}:{line}: {name}"
        for file in sorted(PACKAGE.rglob("*.py"))
        for line, name in names_bound(file.read_text(encoding="utf-8"))
        if name in NAMES_OUT
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "for one in laps: pass",
        "[lap for _, one in laps]",
        "key = lambda one: one.steps",
        "def f(*, one): pass",
        "one, other = laps",
    ],
)
def test_a_name_is_found_wherever_it_is_bound(source: str) -> None:
    assert "one" in [name for _, name in names_bound(source)]
