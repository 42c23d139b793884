"""Keras on TensorFlow trains a TPU through a distribution strategy: all of that but the TPU."""

from __future__ import annotations

from dataclasses import replace

import pytest

import epochmark.engines
from tests.engines.conftest import SMALL_BATCH, Run, interpreter_of
from tests.engines.test_defects import INJECTED


def test_training_under_a_strategy_is_the_same_work(
    run_engine: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = [*epochmark.engines.__path__, str(INJECTED / "engines")]
    monkeypatch.setattr(epochmark.engines, "__path__", path)
    interpreter = interpreter_of("keras-tensorflow")
    environment = {**interpreter.environment, "PYTHONPATH": str(INJECTED)}
    measured = run_engine(
        "strategic-keras-tensorflow",
        replace(interpreter, environment=environment),
        max_steps=3,
        batch_size=SMALL_BATCH,
    )
    record = measured.record
    assert record.failure is None, measured.stderr.decode(errors="replace")
    assert record.headline.validity == "partial", record.findings
    assert record.engine.settings["strategy"] == "OneDeviceStrategy"
    assert record.device.observed == ["cpu"]
    assert record.precision.observed == "float32"
