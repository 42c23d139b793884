"""Quick runs through a real worker process."""

from __future__ import annotations

from typing import Any

import pytest

from epochmark.bench import quick
from epochmark.judge import disturbances
from epochmark.judge.reading import decode_record
from epochmark.records.upgrades import encode_record
from epochmark.report.text.answer import answer_lines
from tests.pipeline.conftest import MeasureFake

SLOW = {"step_s": 0.001}
"""So that an epoch takes some laps."""
SHORT: dict[str, Any] = {"quick": True, "epochs": 1, "batch_size": 10_000}
"""A whole run is six steps, so it is over before it can be stopped."""


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_a_quick_run_ends_early_and_projects_the_rest(
    measure_fake: MeasureFake, monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    """How evenly this machine sleeps is left open: where it is restless, the run would go on."""
    monkeypatch.setattr(disturbances, "UNSTEADY_SHARE", 9.0)
    record = measure_fake(SLOW, quick=True, device=device).record
    headline = record.headline
    assert record.outcome == "completed"
    assert record.workload.variant == ["quick"]
    assert 2 * 469 < sum(lap.steps for lap in record.timing.laps) < 4690
    assert headline.elapsed_s is None
    assert headline.projected_elapsed_s is not None
    assert headline.steady_epoch_s is not None
    assert headline.projected_elapsed_s >= 10 * headline.steady_epoch_s
    # it may still drift on a busy machine; the work itself is right
    assert headline.validity in ("valid", "disturbed")
    assert decode_record(encode_record(record)).headline == headline
    assert any("projected" in line for line in answer_lines(record))


def test_a_quick_run_without_a_good_figure_ends_with_half_of_the_work(
    measure_fake: MeasureFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disturbances, "UNSTEADY_SHARE", -1.0)
    monkeypatch.setattr(quick, "QUICK_PRECISION", -1.0)
    record = measure_fake(SLOW, quick=True).record
    steps = [lap.steps for lap in record.timing.laps]
    assert len(steps) >= 6
    # a busy machine may hear a lap too late that it was to end
    assert 0.4 * 4690 < sum(steps) <= 0.5 * 4690 + max(steps)
    assert record.headline.projected_elapsed_s is not None


def test_a_run_that_is_over_before_it_can_be_stopped_is_whole(measure_fake: MeasureFake) -> None:
    headline = measure_fake(**SHORT).record.headline
    assert headline.elapsed_s is not None
    assert headline.projected_elapsed_s is None


def test_a_quick_run_that_reports_impossible_epochs_is_wrong(measure_fake: MeasureFake) -> None:
    record = measure_fake({"steps_missing": -3}, **SHORT).record
    assert [finding.code for finding in record.findings] == ["work-incomplete"]
