"""The learning band: exact tolerance factors, honest intervals, fair verdicts."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from epochmark.workloads import MNIST_CNN, WORKLOADS, registry
from epochmark.workloads._proof import learning_band
from epochmark.workloads._proof.learning_band import (
    Band,
    LearningBand,
    accuracy_interval,
    positive_interval,
    tolerance_factor,
)
from epochmark.workloads.spec import Workload

GPT = WORKLOADS["gpt-3m"]
BANDED = (MNIST_CNN, GPT)
TRIAL = Path(__file__).parents[2] / "benchmarks" / "outcomes" / "gpt_3m_trial.jsonl"


@pytest.fixture
def band(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test may store a band of its own; nothing is there at first."""
    path = tmp_path / "band.json"
    monkeypatch.setattr(registry, "evidence_file", lambda workload, name: path)
    return path


def store(path: Path) -> LearningBand:
    """Two epochs around 0.2 and 0.05, and an accuracy around 99 %."""
    losses = [{"low": 0.1, "centre": 0.2, "high": 0.3}, {"low": 0.04, "centre": 0.05, "high": 0.06}]
    accuracy = {"low": 0.985, "centre": 0.99, "high": 0.993}
    about = {"workload": MNIST_CNN.name, "workload_version": MNIST_CNN.version}
    path.write_text(json.dumps({**about, "epoch_losses": losses, "test_accuracy": accuracy}))
    band = learning_band.load_band(MNIST_CNN)
    assert band is not None
    return band


@pytest.mark.parametrize(
    ("count", "exact"),
    [
        (10, 4.4369),
        (15, 3.8853),
        (20, 3.6210),
        (24, 3.4888),
        (30, 3.3546),
        (40, 3.2159),
        (50, 3.1288),
        (60, 3.0680),
    ],
)
def test_the_factor_is_close_to_the_exact_one(count: int, exact: float) -> None:
    # Exact: the defining integral over the sample mean (content 99 %, confidence 95 %), solved
    # numerically with SciPy.
    assert tolerance_factor(count) == pytest.approx(exact, rel=4e-3)


def test_the_factor_shrinks_towards_the_normal_quantile() -> None:
    factors = [tolerance_factor(count) for count in (10, 20, 100, 1000, 10**6)]
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] == pytest.approx(2.5758, rel=2e-3)


def test_too_few_runs_make_no_interval() -> None:
    with pytest.raises(ValueError, match="10 runs"):
        tolerance_factor(9)


def test_the_interval_keeps_its_promise() -> None:
    # In at least about 95 % of experiments of 20 runs, 99 % of all further runs lie inside.
    rng = np.random.default_rng(11)
    normal = statistics.NormalDist(-3.0, 0.2)
    kept = 0
    for _ in range(1000):
        interval = positive_interval(np.exp(rng.normal(-3.0, 0.2, 20)).tolist())
        kept += normal.cdf(math.log(interval.high)) - normal.cdf(math.log(interval.low)) >= 0.99
    assert 0.93 <= kept / 1000 <= 0.97  # 2.9 standard deviations of a share of 0.95


def test_an_interval_by_hand() -> None:
    # Ten losses: five of 1 and five of e^2. Mean of logs 1, standard deviation sqrt(10/9).
    values = [1.0] * 5 + [math.e**2] * 5
    interval = positive_interval(values)
    reach = tolerance_factor(10) * math.sqrt(10 / 9)
    assert math.log(interval.centre) == pytest.approx(1.0)
    assert math.log(interval.low) == pytest.approx(1.0 - reach)
    assert math.log(interval.high) == pytest.approx(1.0 + reach)


def test_accuracies_stay_below_one() -> None:
    interval = accuracy_interval([0.98] * 5 + [0.999] * 5)
    assert interval.low < 0.98 < interval.centre < 0.999 < interval.high < 1.0


@given(st.lists(st.floats(1e-3, 10.0), min_size=10, max_size=30))
def test_the_centre_lies_inside(values: list[float]) -> None:
    interval = positive_interval(values)
    assert 0.0 < interval.low <= interval.centre <= interval.high


def test_without_a_measured_band_nothing_is_judged(band: Path) -> None:
    assert not band.exists()
    assert learning_band.load_band(MNIST_CNN) is None
    assert learning_band.judge(MNIST_CNN, [99.0], 0.1) == []


def test_a_stored_band_is_read_back(band: Path) -> None:
    stored = store(band)
    assert stored.epoch_losses[1] == Band(0.04, 0.05, 0.06)
    assert stored.test_accuracy == Band(0.985, 0.99, 0.993)


def test_what_lies_inside_is_no_problem(band: Path) -> None:
    store(band)
    assert learning_band.judge(MNIST_CNN, [0.2, 0.05], 0.99) == []
    assert learning_band.judge(MNIST_CNN, [0.1, 0.06], 0.985) == []


def test_each_epoch_outside_is_named(band: Path) -> None:
    store(band)
    first, second = learning_band.judge(MNIST_CNN, [0.31, 0.039], 0.99)
    assert "epoch 1" in first
    assert "0.31" in first
    assert "epoch 2" in second


@pytest.mark.parametrize("accuracy", [0.9, 0.9999])
def test_an_accuracy_too_low_or_too_good_is_a_problem(band: Path, accuracy: float) -> None:
    store(band)
    (problem,) = learning_band.judge(MNIST_CNN, [0.2, 0.05], accuracy)
    assert "accuracy" in problem


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_accuracy_is_judged_after_all_epochs_only(band: Path, epochs: int) -> None:
    store(band)
    assert learning_band.judge(MNIST_CNN, [0.2, 0.05, 0.01][:epochs], 0.1) == []


def test_a_loss_that_is_no_number_lies_outside(band: Path) -> None:
    store(band)
    assert len(learning_band.judge(MNIST_CNN, [math.nan, math.inf], None)) == 2


@pytest.mark.parametrize("workload", BANDED, ids=lambda workload: workload.name)
def test_the_shipped_band_is_one_of_at_least_20_full_runs(workload: Workload) -> None:
    stored = registry.read_evidence(workload, registry.LEARNING_BAND)
    assert len(stored["epoch_losses"]) == workload.epochs
    assert stored["workload_version"] == workload.version
    assert len(set(stored["provenance"]["seeds"])) == stored["provenance"]["runs"] >= 20
    centres = [interval["centre"] for interval in stored["epoch_losses"]]
    assert centres == sorted(centres, reverse=True)


def test_the_runs_of_a_shipped_band_lie_inside() -> None:
    """The seeds of gpt-3m, which the repository keeps."""
    runs = [json.loads(line) for line in TRIAL.read_text("utf-8").splitlines()]
    assert len(runs) >= 20
    for run in runs:
        assert learning_band.judge(GPT, run["epoch_losses"], run["test_accuracy"]) == []
    other = [*runs[0]["epoch_losses"][:-1], 1.02 * runs[0]["epoch_losses"][-1]]
    assert len(learning_band.judge(GPT, other, None)) == 1
