"""``epochmark explain``: which run it takes, what it prints, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from epochmark.cli import app
from epochmark.judge.results import ResultFiles
from epochmark.records.machine.limits_file import save_limits
from tests.report.explained import limits, steady
from tests.report.samples import failed


@pytest.fixture
def stored(results: ResultFiles) -> ResultFiles:
    for number, engine in ((1, "native"), (2, "torch"), (3, "native")):
        results.save(steady(20.0, number=number, engine=engine))
    results.save(failed(0x10, engine="jax"))
    return results


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["explain", *arguments])


@pytest.mark.parametrize(
    ("named", "record_id"),
    [
        ((), "0003"),
        (("0002",), "0002"),
        (("native",), "0003"),
        (("torch",), "0002"),
        (("jax",), "0010"),
    ],
)
def test_a_run_is_named_by_id_or_engine(
    stored: ResultFiles, named: tuple[str, ...], record_id: str
) -> None:
    if not named:
        stored.remove(stored.find("0010"))
    done = invoke(*named)
    assert done.exit_code == 0, done.stderr
    assert f"(record {record_id}" in done.stdout.splitlines()[0]


def test_a_run_is_named_by_file(stored: ResultFiles, tmp_path: Path) -> None:
    elsewhere = ResultFiles(tmp_path / "elsewhere").save(steady(9.0, number=0x77))
    document = json.loads(invoke(str(elsewhere), "--json").stdout)
    assert document["id"].startswith("0077")
    assert document["explanations"][0]["rule"] == "whole-time"


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("ffff", "no result has an id that begins with 'ffff'"),
        ("00", "4 results have an id that begins with '00'"),
        ("tinygrad", "there is no run of tinygrad"),
        ("tinigrad", "did you mean tinygrad?"),
        ("missing.json", "cannot be read"),
        ("", "no result has an id"),
    ],
)
def test_what_names_no_run_is_refused(stored: ResultFiles, named: str, message: str) -> None:
    done = invoke(named)
    assert done.exit_code == 2
    assert message in done.stderr


def test_without_any_run_it_says_how_to_make_one(results: ResultFiles) -> None:
    done = invoke()
    assert done.exit_code == 2
    assert "'epochmark run' makes the first" in done.stderr


def test_stored_limits_are_used_and_a_broken_file_is_reported(stored: ResultFiles) -> None:
    save_limits(stored.folder, limits(steady(), product=230))
    assert "What holds it back" in invoke("native").stdout
    (stored.folder / "machine-limits").write_bytes(b"{}")
    done = invoke("native")
    assert done.exit_code == 0
    assert "cannot be read" in done.stderr
    assert "Where the time goes" in done.stdout
