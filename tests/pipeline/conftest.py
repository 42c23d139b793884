"""Real worker processes, driven by the fake engine's script."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest
from epochmark.bench.session import Bench, Measured
from epochmark.bench.watching.watch import OpenCounters
from epochmark.environments.install import create_venv
from epochmark.environments.managed import Environments
from epochmark.hardware.sensors import OpenSensor
from epochmark.records.machine.machine_limits import Limits
from epochmark.records.record import Record
from epochmark.worker.protocol import Message
from tests.pipeline.program import SAMPLES, Program
from tests.pipeline.wheels import make_wheel

FAKE = RunRequest(engine="fake")


class MeasureFake(Protocol):
    """Run the fake engine with this script and these departures from a full run on the CPU."""

    def __call__(
        self,
        script: dict[str, Any] | None = None,
        *,
        on_report: Callable[[Message], None] = lambda report: None,
        patience_s: float | None = None,
        open_counters: OpenCounters | None = None,
        sensors: Mapping[str, OpenSensor] | None = None,
        limits: Limits | None = None,
        **departures: Any,
    ) -> Measured: ...


@pytest.fixture
def measure_fake(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> MeasureFake:
    def run(
        script: dict[str, Any] | None = None,
        *,
        on_report: Callable[[Message], None] = lambda report: None,
        patience_s: float | None = None,
        open_counters: OpenCounters | None = None,
        sensors: Mapping[str, OpenSensor] | None = None,
        limits: Limits | None = None,
        **departures: Any,
    ) -> Measured:
        monkeypatch.setenv("EPOCHMARK_FAKE", json.dumps(script or {}))
        request = replace(FAKE, **departures)
        request.check()
        own = replace(
            bench, patience_s=patience_s, open_counters=open_counters, sensors=sensors,
            limits=limits,
        )  # fmt: skip
        return own.measure(PlannedRun(request), on_report)

    return run


@pytest.fixture(scope="session")
def correct(bench: Bench) -> Record:
    """A run of the fake engine in which nothing is wrong, for tests that only look at a record."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("EPOCHMARK_FAKE", "{}")
        return bench.measure(PlannedRun(FAKE)).record


@pytest.fixture
def program(mnist_folder: Path, tmp_path: Path) -> Program:
    """The command line with empty results, MNIST at hand and a correct fake engine; no environment
    is made yet."""
    folders = {name: tmp_path / name for name in ("results", "tmp")}
    folders["tmp"].mkdir()
    return Program(
        tmp_path,
        {
            "EPOCHMARK_DATA": str(mnist_folder),
            "EPOCHMARK_ENVIRONMENTS": str(tmp_path / "environments"),
            "EPOCHMARK_FAKE": "{}",
            "EPOCHMARK_RESULTS": str(folders["results"]),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
            "TMPDIR": str(folders["tmp"]),
        },
    )


@pytest.fixture
def filled(program: Program) -> Program:
    """With the saved records among its results."""
    program.results.mkdir()
    for sample in SAMPLES.glob("*.json"):
        shutil.copy(sample, program.results)
    return program


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the user's pip configuration names as the only source of packages."""
    folder = tmp_path / "wheels"
    make_wheel(folder, "tiny-framework", "1.2")
    make_wheel(folder, "numpy", "2.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return folder


@pytest.fixture
def environments(tmp_path: Path) -> Environments:
    return Environments(tmp_path / "environments")


@pytest.fixture(scope="session")
def python_with_pip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter whose pip is asked what it would install."""
    folder = tmp_path_factory.mktemp("pip") / "venv"
    create_venv(Path(sys.executable), folder)
    return folder / "bin" / "python"


@pytest.fixture
def copied_venvs(python_with_pip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each environment is a copy of one that venv made, which takes seconds to unpack pip."""

    def copy(python: Path, folder: Path) -> None:
        shutil.copytree(python_with_pip.parents[1], folder, symlinks=True, dirs_exist_ok=True)

    monkeypatch.setattr("epochmark.environments.install.create_venv", copy)
