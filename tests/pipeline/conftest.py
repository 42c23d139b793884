"""Real worker processes, driven by the fake engine's script."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from epochmark.bench.plan import PlannedRun
from epochmark.bench.request import RunRequest
from epochmark.bench.session import Bench, Measured
from epochmark.bench.watching.watch import OpenCounters
from epochmark.hardware.sensors import OpenSensor
from epochmark.records.machine.machine_limits import Limits
from epochmark.worker.protocol import Message
from tests.pipeline.program import SAMPLES, Program

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
