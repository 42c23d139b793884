"""Keras on TensorFlow trains a TPU through a distribution strategy: all of that but the TPU."""

from __future__ import annotations

from tests.engines.conftest import Run, interpreter_of


def test_training_under_a_strategy_is_the_same_work(run_small: Run) -> None:
    measured = run_small(
        "strategic-keras-tensorflow",
        interpreter_of("keras-tensorflow"),
        max_steps=3,
    )
    record = measured.record
    assert record.failure is None, measured.stderr.decode(errors="replace")
    assert record.headline.validity == "partial", record.findings
    assert record.engine.settings["strategy"] == "OneDeviceStrategy"
    assert record.device.observed == ["cpu"]
    assert record.precision.observed == "float32"
