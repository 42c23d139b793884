"""``run --tuning`` through real worker processes of the fake engine."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from epochmark.bench.tuned import trial
from tests.pipeline.program import Program, interrupt, read_until

SCRIPT = {
    "step_s": 0.004,
    "speedups": {"gear=high": 4.0, "gear=reverse": 8.0, "brake=off": 0.2},
    "changes": {"gear=reverse": {"replay": 0.01}, "gear=none": {"fail_in": "fit"}},
}
"""Fast are: high gear, and in reverse, which trains something else. There is no gear ``none``."""

Search = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def geared(program: Program) -> Program:
    program.script(**SCRIPT)
    return program


@pytest.fixture
def search(geared: Program, monkeypatch: pytest.MonkeyPatch) -> Search:
    """``epochmark run fake --epochs 1`` in this process, where a trial needs only three laps."""
    monkeypatch.setattr(trial, "MIN_LAPS", 3)
    monkeypatch.setattr(trial, "MIN_WARM_S", 0.5)

    def run(*options: str) -> subprocess.CompletedProcess[str]:
        return geared.here("run", "fake", "--epochs", "1", *options)

    return run


@pytest.mark.alone  # which setting is kept depends on speeds
def test_both_shows_what_each_setting_gains(geared: Program, search: Search) -> None:
    done = search("--tuning", "both")
    assert done.returncode == 0, done.stderr
    assert "tuned 20" in done.stdout
    table = {tuple(line.split()[:2]): line for line in done.stdout.splitlines() if line.strip()}
    assert "kept" in table["gear", "high"]
    assert "wrong: the largest relative error of a replayed loss" in table["gear", "reverse"]
    assert "failed: RuntimeError: the fake engine was told to fail" in table["gear", "none"]
    assert "not faster" in table["brake", "off"]
    stock, tuned = sorted(geared.records(), key=lambda record: record["engine"]["tuning"])
    assert (stock["engine"]["tuning"], stock["engine"]["tuned_settings"]) == ("stock", None)
    assert (tuned["engine"]["tuning"], tuned["engine"]["tuned_settings"]) == (
        "tuned",
        {"gear": "high"},
    )
    assert (stock["precision"]["requested"], tuned["precision"]["requested"]) == (
        "stock",
        "float32",
    )

    again = geared.run("run", "fake", "--tuning", "tuned", "--epochs", "1")
    assert again.returncode == 0, again.stderr
    assert "gear high" in again.stdout
    assert "  gear none failed: RuntimeError: the fake engine was told to fail" in again.stdout
    assert "  gear reverse was dropped, since it computed something else: the" in again.stdout
    assert "run 1" not in again.stderr, "it remembered"
    assert len(geared.records()) == 3
    apart = geared.run("table", "--filter", "engine=fake").stdout
    assert "fake stock" in apart
    assert "fake tuned" in apart


@pytest.mark.alone
def test_retune_searches_again_and_replaces_a_file_that_cannot_be_read(
    geared: Program, search: Search
) -> None:
    geared.results.mkdir()
    file = geared.results / "tuned-settings"
    file.write_text("{")
    refused = search("--tuning", "tuned")
    assert refused.returncode == 1
    assert "Search again with '--retune'" in refused.stderr
    geared.script(**{**SCRIPT, "speedups": {"gear=high": 0.5, "gear=none": 0.5, "brake=off": 2.0}})
    done = search("--tuning", "tuned", "--retune", "--json")
    assert done.returncode == 0, done.stderr
    assert "  gear none failed: RuntimeError: the fake engine was told to fail" in done.stderr
    assert json.loads(done.stdout)["engine"]["tuned_settings"] == {"brake": "off"}
    (known,) = json.loads(file.read_text())["engines"]
    assert known["settings"] == {"brake": "off"}


def test_an_interrupted_search_leaves_nothing(geared: Program) -> None:
    process = geared.start("run", "fake", "--tuning", "both", "--epochs", "1")
    read_until(process, "run 3")
    _, err = interrupt(process)
    assert process.returncode == 130
    assert "interrupted" in err
    assert geared.records() == []
    assert not (geared.results / "tuned-settings").exists()


def test_an_engine_that_cannot_train_is_not_searched(geared: Program) -> None:
    geared.script(fail_in="fit")
    done = geared.run("run", "fake", "--tuning", "tuned")
    assert done.returncode == 1
    assert "the engine could not be timed as stock" in done.stderr
    assert geared.records() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("native", "--tuning", "tuned"), "native has no tuned mode on cpu"),
        (("fake", "--tuning", "fast"), "there is no tuning 'fast'; there are: stock, tuned, both"),
        (("fake", "--retune"), "--retune needs --tuning tuned or both"),
        (("fake", "--tuning", "both", "--precision", "bfloat16"), "tuned is float32"),
        (("fake", "--tuning", "tuned", "--threads", "1"), "omit --threads"),
    ],
)
def test_what_cannot_be_tuned_is_refused(
    program: Program, arguments: tuple[str, ...], message: str
) -> None:
    done = program.here("run", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert program.records() == []
