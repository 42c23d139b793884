"""A real framework that does other work than it says is caught, by the pipeline users run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import epochmark.engines
from epochmark.bench.interpreter import Interpreter
from epochmark.engines import get_engine
from epochmark.results.record import Record
from tests.engines.conftest import Run, interpreter_of

INJECTED = Path(__file__).with_name("injected")

PARITY_DEFECTS = [
    "epsilon 1e-8",
    "epsilon 1e-6",
    "learning rate +1 %",
    "learning rate -1 %",
    "no bias correction",
    "weight layout swapped",
    "flatten order swapped",
    "a bias missing",
    "a layer not trained",
    "average pooling",
    "labels off by one",
    "replay without training",
]


def defective(defect: str) -> Interpreter:
    """PyTorch's interpreter, where our engines have one more among them."""
    interpreter = interpreter_of("torch")
    environment = {**interpreter.environment, "PYTHONPATH": str(INJECTED), "DEFECT": defect}
    return replace(interpreter, environment=environment)


@pytest.fixture(autouse=True)
def _engine_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here too: a request names only engines that exist."""
    path = [*epochmark.engines.__path__, str(INJECTED / "engines")]
    monkeypatch.setattr(epochmark.engines, "__path__", path)


def run_defective(
    run_engine: Run, defect: str, device: str = "cpu", precision: str = "float32"
) -> Record:
    measured = run_engine(
        "defective-torch", defective(defect), max_steps=1, device=device, precision=precision
    )
    assert measured.record.failure is None, measured.stderr.decode(errors="replace")
    return measured.record


def codes(record: Record) -> set[str]:
    return {finding.code for finding in record.findings}


def test_without_a_defect_it_is_right(run_engine: Run) -> None:
    record = run_defective(run_engine, "none")
    assert record.headline.validity == "partial"
    assert record.precision.observed == "float32"
    assert get_engine("defective-torch").info.family == "torch"


@pytest.mark.parametrize("defect", PARITY_DEFECTS)
def test_other_work_fails_parity(run_engine: Run, defect: str) -> None:
    record = run_defective(run_engine, defect, precision="stock")
    assert "parity-failed" in codes(record), record.replay
    assert record.headline.validity == "invalid"


def test_bfloat16_does_not_pass_for_float32(run_engine: Run) -> None:
    record = run_defective(run_engine, "bfloat16 for float32")
    assert "precision-mismatch" in codes(record), record.replay
    assert record.precision.observed == "bfloat16"
    assert record.headline.validity == "invalid"


def test_a_fall_back_to_the_cpu_is_no_gpu_run(run_engine: Run) -> None:
    record = run_defective(run_engine, "falls back to the cpu", device="gpu")
    assert (record.device.resolved, record.device.observed) == ("gpu:0", ["cpu"])
    assert "device-mismatch" in codes(record)
    assert record.headline.validity == "invalid"
