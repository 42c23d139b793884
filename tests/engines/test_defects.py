"""A real framework that does other work than it says is caught, by the pipeline users run."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from epochmark.analysis.timing.headline import headline_of, observed_precision
from epochmark.bench.interpreters.interpreter import Interpreter
from epochmark.engines import get_engine
from epochmark.judge.validity import judge
from epochmark.records.record import PrecisionRun, Record
from epochmark.workloads import MNIST_CNN, WORKLOADS
from epochmark.workloads._proof import parity, reference, replay_data
from epochmark.workloads.spec import SGD, Workload
from tests.engines.conftest import (
    LEARNING_BATCH,
    SMALL_BATCH,
    Run,
    answer_of,
    interpreter_of,
    with_injected,
)
from tests.engines.tiny_workloads import GPT, batches_of, draw_parameters, draw_samples

pytestmark = pytest.mark.usefixtures("injected")

DRIVER = Path(__file__).with_name("defects_driver.py")

Losses = list[float | None]
Replays = dict[str, tuple[Losses, Losses]]
"""The losses of both replays with each defect."""

LIE_STEPS = 24
"""Enough for Adam to be calm."""

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
    "gradients 1 % too large",
]
PASSED_FOR_FLOAT32 = "bfloat16 for float32"


LIES = {
    "one step of four": "work-incomplete",
    "one step of four, counted as four": "continuation-failed",
    "every second update left out": "continuation-failed",
    "90 % of each batch": "continuation-failed",
    "half of each batch": "continuation-failed",
    "bfloat16 in the fit": "continuation-failed",
    "stale state": "continuation-failed",
    "swapped moments": "continuation-failed",
    "transposed kernel": "weights-mismatch",
    "foreign layout": "continuation-missing",
}
"""What is done in the fit and not in the replay, or handed out as its state; and what shows it."""
OF_A_CONVOLUTION = ("transposed kernel", "foreign layout", "gradient 5 % too large")
"""The others are shown with two small dense layers."""


def defective(defect: str) -> Interpreter:
    """PyTorch's interpreter, where our engines have one more among them."""
    return with_injected(interpreter_of("torch"), DEFECT=defect)


def run_defective(run_engine: Run, defect: str, **departures: Any) -> Record:
    """A single step of ``mnist-cnn`` in float32, where no departure says otherwise."""
    asked = {"max_steps": 1, "precision": "float32", "batch_size": LEARNING_BATCH, **departures}
    measured = run_engine("defective-torch", defective(defect), **asked)
    assert measured.record.failure is None, measured.stderr.decode(errors="replace")
    return measured.record


def run_lying(run_engine: Run, lie: str) -> Record:
    return run_defective(
        run_engine,
        lie,
        precision="stock",
        max_steps=LIE_STEPS,
        batch_size=SMALL_BATCH,
        workload=MNIST_CNN if lie in OF_A_CONVOLUTION else WORKLOADS["small-mlp"],
    )


def codes(record: Record) -> set[str]:
    return {finding.code for finding in record.findings}


@pytest.fixture(scope="module")
def honest(run_engine: Run) -> Record:
    """The reference of the lies below: the same steps, nothing wrong."""
    return run_lying(run_engine, "none")


@pytest.fixture(scope="module")
def honest_cnn(run_engine: Run) -> Record:
    """The reference of wrong replays."""
    return run_defective(run_engine, "none")


def test_without_a_defect_it_is_right(honest: Record, honest_cnn: Record) -> None:
    for record in (honest, honest_cnn):
        assert record.headline.validity == "partial", record.findings
        assert record.precision.observed == "float32"
    assert get_engine("defective-torch").info.family == "torch"


def test_without_a_defect_it_goes_on_as_float64_does(honest: Record) -> None:
    found = honest.continuation
    assert found is not None
    assert found.problem is None
    assert (found.steps, found.steps_after) == (LIE_STEPS, LIE_STEPS + 8 + 5)


@pytest.mark.parametrize("lie", LIES)
def test_what_the_replay_does_not_see_is_found(run_engine: Run, lie: str) -> None:
    record = run_lying(run_engine, lie)
    assert record.precision.observed == "float32", "the replay is right"
    assert LIES[lie] in codes(record), record.continuation
    assert record.headline.validity == "invalid"


def test_a_gradient_5_percent_too_large_is_seen_by_plain_sgd(run_engine: Run) -> None:
    """Adam's own replay does not see it."""
    record = run_lying(run_engine, "gradient 5 % too large")
    assert "parity-failed" in codes(record), record.replay
    assert record.headline.validity == "invalid"
    assert record.replay is not None
    golden = replay_data.golden_losses(MNIST_CNN, record.engine.adam_form)
    adam = parity.judge(record.replay.losses, golden, parity.replay_tolerances(MNIST_CNN))
    assert adam.precision == "float32"


def test_no_training_at_all_is_found_three_times(run_engine: Run) -> None:
    """Losses and accuracy made up, after a single step: weights, CPU time and counter tell."""
    record = run_defective(
        run_engine,
        "no training",
        precision="stock",
        max_steps=None,
        batch_size=MNIST_CNN.batch_size,
    )
    assert {"weights-mismatch", "work-incomplete", "implausible"} <= codes(record)
    assert not {"learning-out-of-band", "loss-flat", "parity-failed"} & codes(record)
    assert record.headline.validity == "invalid"


def replays_with(
    defects: list[str], workload: Workload, data: str, precision: str, folder: Path
) -> Replays:
    """All of them in one process. Adam's later steps, which it leaves out, are taken as right."""
    job = ("defective-torch", workload.name, data, precision, "0", *defects)
    found: Replays = answer_of(DRIVER, folder, *job, interpreter=defective("none"))
    golden = replay_data.golden_losses(workload, "algorithm_1")
    return {
        defect: ([*losses, *golden[len(losses) :]], sgd_losses)
        for defect, (losses, sgd_losses) in found.items()
    }


@pytest.fixture(scope="module")
def wrong_replays(tmp_path_factory: pytest.TempPathFactory, mnist_folder: Path) -> Replays:
    folder = tmp_path_factory.mktemp("mnist-cnn")
    defects = [*PARITY_DEFECTS, PASSED_FOR_FLOAT32]
    return replays_with(defects, MNIST_CNN, str(mnist_folder), "float32", folder)


def replaying(record: Record, replays: tuple[Losses, Losses]) -> Record:
    """A record in which nothing else is wrong, with these losses, float32 asked for."""
    assert record.replay is not None
    losses, sgd_losses = replays
    replay = msgspec.structs.replace(record.replay, losses=losses, sgd_losses=sgd_losses)
    found = msgspec.structs.replace(record, replay=replay)
    precision = PrecisionRun(requested="float32", observed=observed_precision(found))
    found = msgspec.structs.replace(found, precision=precision)
    return msgspec.structs.replace(found, findings=judge(found))


@pytest.mark.parametrize("defect", PARITY_DEFECTS)
def test_other_work_fails_parity(defect: str, wrong_replays: Replays, honest_cnn: Record) -> None:
    record = replaying(honest_cnn, wrong_replays[defect])
    assert "parity-failed" in codes(record), record.replay
    assert headline_of(record).validity == "invalid"


def test_bfloat16_does_not_pass_for_float32(wrong_replays: Replays, honest_cnn: Record) -> None:
    record = replaying(honest_cnn, wrong_replays[PASSED_FOR_FLOAT32])
    assert "precision-mismatch" in codes(record), record.replay
    assert record.precision.observed == "bfloat16"
    assert headline_of(record).validity == "invalid"


def test_a_fall_back_to_the_cpu_is_no_gpu_run(run_engine: Run) -> None:
    small = WORKLOADS["small-mlp"]
    record = run_defective(run_engine, "falls back to the cpu", device="gpu", workload=small)
    assert (record.device.resolved, record.device.observed) == ("gpu:0", ["cpu"])
    assert "device-mismatch" in codes(record)
    assert record.headline.validity == "invalid"


# A transformer's, against float64.

RATE = 0.05
FLOAT32 = 1e-6
"""Relative error of a loss; the least of a defect here is ten times that (exact GELU)."""

TRANSFORMER_DEFECTS = [
    "no mask",
    "mask off by one",
    "scores divided by the size of a head",
    "heads transposed",
    "exact GELU",
    "epsilon of Keras",
    "untied head",
    "positions off by one",
    "targets not shifted",
]
OPTIMIZER_DEFECTS = [
    "epsilon 1e-8",
    "epsilon 1e-6",
    "learning rate +1 %",
    "learning rate -1 %",
    "no bias correction",
    "replay without training",
]
SCALE_DEFECTS = ["gradients 1 % too large", "mean over sequences only", "sum for mean"]


@pytest.fixture(scope="module")
def errors_of(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The largest error of a loss with each defect, all of one optimizer in one process."""

    @cache
    def errors(rate: float) -> dict[str, float]:
        samples = draw_samples(GPT, GPT.train_samples)
        optimizer = SGD(rate) if rate else None
        right, _ = reference.train(
            GPT, draw_parameters(GPT), batches_of(samples), "algorithm_1", optimizer=optimizer
        )
        defects = ["none", "attention by hand", *TRANSFORMER_DEFECTS, *SCALE_DEFECTS]
        job = ("defective-torch", GPT.name, "", "float32", str(rate), *defects)
        folder = tmp_path_factory.mktemp("transformer")
        found = answer_of(DRIVER, folder, *job, interpreter=defective("none"))
        return {
            defect: max(abs(loss / true - 1) for loss, true in zip(losses, right, strict=True))
            for defect, losses in found.items()
        }

    return errors


@pytest.mark.parametrize("correct", ["none", "attention by hand"])
@pytest.mark.parametrize("rate", [0.0, RATE])
def test_a_right_transformer_is_within_float32(correct: str, rate: float, errors_of: Any) -> None:
    assert errors_of(rate)[correct] < FLOAT32


@pytest.mark.parametrize("defect", TRANSFORMER_DEFECTS)
def test_a_wrong_transformer_is_far_from_float64(defect: str, errors_of: Any) -> None:
    assert errors_of(0.0)[defect] > 5 * FLOAT32


@pytest.mark.parametrize("defect", SCALE_DEFECTS)
def test_the_scale_of_gradients_shows_without_adam_only(defect: str, errors_of: Any) -> None:
    assert errors_of(RATE)[defect] > 50 * FLOAT32
    assert errors_of(0.0)[defect] < 5 * FLOAT32


# The same on gpt-3m's own replay, against its own tolerances.

GPT_3M_DEFECTS = [*TRANSFORMER_DEFECTS, *OPTIMIZER_DEFECTS, *SCALE_DEFECTS]

Verdicts = dict[str, parity.Verdict]


def verdicts_of(folder: Path, precision: str, defects: list[str]) -> Verdicts:
    """What both replays of gpt-3m say of each defect."""
    workload = WORKLOADS["gpt-3m"]
    replay = (workload, "algorithm_1", replay_data.REPLAY_VERSION)
    return {
        defect: parity.judge_replay(*replay, losses, sgd_losses, precision)
        for defect, (losses, sgd_losses) in replays_with(
            defects, workload, "", precision, folder
        ).items()
    }


@pytest.fixture(scope="module")
def verdicts_of_gpt_3m(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    defects = ["none", "attention by hand", *GPT_3M_DEFECTS]
    return verdicts_of(tmp_path_factory.mktemp("gpt-3m"), "float32", defects)


@pytest.mark.parametrize("correct", ["none", "attention by hand"])
def test_a_right_gpt_3m_is_float32(correct: str, verdicts_of_gpt_3m: Verdicts) -> None:
    assert verdicts_of_gpt_3m[correct].precision == "float32"


@pytest.mark.parametrize("defect", GPT_3M_DEFECTS)
def test_a_wrong_gpt_3m_meets_no_tolerance(defect: str, verdicts_of_gpt_3m: Verdicts) -> None:
    assert verdicts_of_gpt_3m[defect].precision is None


def test_one_percent_of_scale_is_seen_by_sgd_alone(verdicts_of_gpt_3m: Verdicts) -> None:
    verdict = verdicts_of_gpt_3m["gradients 1 % too large"]
    assert verdict.wrong_scale
    limits = parity.sgd_tolerances(WORKLOADS["gpt-3m"])["float32"]
    assert max(verdict.errors) > 100 * max(limits)


# The same in bfloat16, which sees the coarser of them.

COARSE_DEFECTS = ["heads transposed", "mask off by one", "no bias correction", "sum for mean"]


@pytest.fixture(scope="module")
def verdicts_in_bfloat16(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    defects = ["none", "attention by hand", *COARSE_DEFECTS]
    return verdicts_of(tmp_path_factory.mktemp("bfloat16"), "bfloat16", defects)


@pytest.mark.parametrize("correct", ["none", "attention by hand"])
def test_a_right_gpt_3m_is_bfloat16(correct: str, verdicts_in_bfloat16: Verdicts) -> None:
    assert verdicts_in_bfloat16[correct].precision == "bfloat16"


@pytest.mark.parametrize("defect", COARSE_DEFECTS)
def test_a_coarsely_wrong_gpt_3m_is_seen_in_bfloat16(
    defect: str, verdicts_in_bfloat16: Verdicts
) -> None:
    """The precision asked for has a tolerance, so that the run is ``parity-failed``."""
    assert verdicts_in_bfloat16[defect].precision is None
