"""A folder is all that a new workload needs: that of docs/adding-a-workload.md trains."""

from __future__ import annotations

import importlib
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import epochmark.workloads
from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest, named_workloads
from epochmark.bench.session import Bench
from epochmark.engines import get_engine
from epochmark.workloads import WORKLOADS
from tests.engines.conftest import interpreter_of
from tests.pipeline.program import Program

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "adding-a-workload.md"

FOUND_BY_PYTHON = """
import pathlib

import epochmark.workloads

epochmark.workloads.__path__.append(str(pathlib.Path(__file__).parent / "workloads"))
"""
"""Run before anything else where it is on the path, by the launcher as by the worker."""

FAKE = ("run", "fake", "--python", sys.executable)
"""In an interpreter whose environment is left as it is."""


def printed(language: str) -> str:
    """The one listing of the page in this language."""
    (block,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return str(block)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Path:
    """A folder for PYTHONPATH that brings the workload of the page, golden losses and all."""
    site = tmp_path_factory.mktemp("made")
    folder = site / "workloads" / "small_mlp"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(printed("python"), "utf-8")
    (site / "sitecustomize.py").write_text(FOUND_BY_PYTHON, "utf-8")
    make = [sys.executable, "benchmarks/make_golden_losses.py", "small-mlp"]
    subprocess.run(
        [*make, "--data", str(mnist_folder)],
        env={**os.environ, "PYTHONPATH": path_with(site)},
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return site


@pytest.fixture
def added(made: Path, tmp_path: Path) -> Path:
    """A copy of that folder, to which a test may add."""
    return shutil.copytree(made, tmp_path / "added")


def path_with(site: Path) -> str:
    return os.pathsep.join([str(site), *filter(None, [os.environ.get("PYTHONPATH")])])


def write_tolerances(site: Path) -> None:
    (site / "workloads" / "small_mlp" / "tolerances.json").write_text(printed("json"), "utf-8")


@pytest.fixture
def program(program: Program, added: Path) -> Program:
    program.environment["PYTHONPATH"] = path_with(added)
    return program


def trained(program: Program, *options: str) -> dict[str, Any]:
    done = program.run(*FAKE, "-w", "small-mlp", "--json", *options)
    assert done.stdout, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def test_it_is_listed_shown_and_completed(program: Program) -> None:
    listed = json.loads(program.run("workloads", "--json").stdout)
    (found,) = [workload for workload in listed if workload["name"] == "small-mlp"]
    assert found["parameters"] == 784 * 16 + 16 + 16 * 10 + 10
    assert "torch" in found["engines"]
    assert "native" not in found["engines"]
    shown = program.run("workloads", "show", "small-mlp").stdout
    assert "2 epochs of 600 steps at batch 100" in shown
    assert "hidden" in shown
    assert "no replay: not measured yet" in shown


def test_without_tolerances_nothing_is_judged_and_nothing_ranked(program: Program) -> None:
    record = trained(program)
    assert [finding["code"] for finding in record["findings"]] == ["not-judged"]
    assert record["headline"]["validity"] == "partial"
    assert record["workload"]["name"] == "small-mlp"
    assert "2 epochs" not in record["workload"]["variant"]
    assert len(record["learning"]["epochs"]) == 2


def test_with_tolerances_a_run_is_valid(program: Program, added: Path) -> None:
    write_tolerances(added)
    record = trained(program)
    assert record["findings"] == []
    assert record["precision"]["observed"] == "float32"
    program.script(replay=1e-3)
    codes = [finding["code"] for finding in trained(program, "--precision", "float32")["findings"]]
    assert "parity-failed" in codes


def test_all_workloads_make_a_row_each(program: Program) -> None:
    done = program.run(*FAKE, "-w", "all", "--steps", "3", "--json")
    names = [record["workload"]["name"] for record in json.loads(done.stdout)]
    offered = [
        workload.name
        for workload in named_workloads("all")
        if get_engine("fake").info.offers(workload)
    ]
    assert names == sorted([*offered, "small-mlp"])


def test_a_record_of_it_is_shown_where_it_is_not_known(program: Program) -> None:
    trained(program)
    del program.environment["PYTHONPATH"]
    (listed,) = json.loads(program.run("results", "--json").stdout)
    assert listed["headline"]["validity"] == "partial"
    assert listed["headline"]["steady_epoch_s"] is None
    assert listed["headline"]["elapsed_s"] > 0
    shown = program.run("results", "show", listed["id"][:8])
    assert shown.returncode == 0
    assert "workload-unknown" in shown.stdout
    assert "small-mlp" in shown.stdout
    for command in (("table",), ("table", "--format", "csv"), ("results",)):
        done = program.run(*command)
        assert done.returncode == 0, done.stderr
    checked = program.run("check", str(next(program.results.glob("*.json"))))
    assert checked.returncode == 1
    assert "does not know" in checked.stdout + checked.stderr


def test_pytorch_trains_it(bench: Bench, added: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_tolerances(added)
    path = [*epochmark.workloads.__path__, str(added / "workloads")]
    monkeypatch.setattr(epochmark.workloads, "__path__", path)
    importlib.invalidate_caches()
    interpreter = interpreter_of("torch")
    environment = {**interpreter.environment, "PYTHONPATH": str(added)}
    request = RunRequest(engine="torch", workload=WORKLOADS["small-mlp"])
    request.check()
    planned = PlannedRun(request, replace(interpreter, environment=environment))
    record = bench.measure(planned).record
    assert record.failure is None, record.failure
    assert record.headline.validity in ("valid", "disturbed"), record.findings
    assert record.precision.observed == "float32"
    assert record.headline.test_accuracy is not None
    assert record.headline.test_accuracy > 0.9
