"""Several steps in one call are the same steps."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engines.conftest import answer_of, interpreter_of, with_injected

DRIVER = Path(__file__).with_name("calls_driver.py")


def test_a_scan_of_steps_trains_as_single_steps_do(tmp_path: Path) -> None:
    interpreter = with_injected(interpreter_of("jax"))
    single, several = answer_of(DRIVER, tmp_path, "jax", interpreter=interpreter)
    assert single["execution"] == "one jitted step"
    assert several["execution"] == "4 steps in one jitted scan"
    assert several["losses"] == pytest.approx(single["losses"], rel=1e-5)
    assert len(single["losses"]) == 10
    assert single["losses"][-1] < single["losses"][0]
    for (_, loss, accuracy), (_, other_loss, other_accuracy) in zip(
        single["epochs"], several["epochs"], strict=True
    ):
        assert other_loss == pytest.approx(loss, rel=1e-4)
        assert other_accuracy == pytest.approx(accuracy, abs=0.011)
    assert len(several["epochs"]) == 2
