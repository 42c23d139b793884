"""Tuned engines do the same work: the replay in float32, whatever the settings."""

from __future__ import annotations

import pytest

from epochmark.engines import get_engine
from epochmark.workloads import MNIST_CNN, WORKLOADS
from tests.engines.conftest import (
    SLOW,
    SMALL_BATCH,
    TUNED,
    Run,
    interpreter_of,
    tuned_settings,
    with_injected,
)

STEPS = 2
"""The replay and the continuation have their own. Slow engines continue ``mnist-cnn`` with the same
settings in test_state.py."""


@pytest.mark.parametrize("engine", TUNED)
@pytest.mark.usefixtures("injected")
def test_the_work_is_that_of_the_stock_engine(engine: str, run_engine: Run) -> None:
    workload = WORKLOADS["small-mlp"] if engine in SLOW else MNIST_CNN
    settings = tuned_settings(engine, workload)
    measured = run_engine(
        engine,
        with_injected(interpreter_of(engine)),
        workload=workload,
        tuning="tuned",
        tuned_settings=settings,
        max_steps=STEPS,
        batch_size=SMALL_BATCH,
    )
    record = measured.record
    assert record.failure is None, measured.stderr.decode(errors="replace")
    assert record.headline.validity == "partial", record.findings
    assert (record.precision.requested, record.precision.observed) == ("float32", "float32")
    assert record.device.observed == ["cpu"]
    assert sum(lap.steps for lap in record.timing.laps) == STEPS
    assert record.engine.tuned_settings == settings


@pytest.mark.parametrize("engine", TUNED)
def test_a_setting_that_is_not_offered_is_refused(engine: str) -> None:
    with pytest.raises(ValueError, match="has no setting colour=red on cpu"):
        get_engine(engine).info.all_settings("cpu", {"colour": "red"})


@pytest.mark.parametrize("engine", TUNED)
def test_tuned_is_float32_so_it_can_be_asked_for(engine: str) -> None:
    assert "float32" in get_engine(engine).info.precisions
