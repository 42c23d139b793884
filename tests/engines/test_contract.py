"""Every engine that is ready keeps the contract, on real MNIST in a real worker."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from epochmark.bench.plan import plan_named
from epochmark.bench.request import RunRequest
from epochmark.engines import get_engine
from epochmark.errors import EpochmarkError
from epochmark.records.record import Record
from epochmark.workloads import MNIST_CNN, WORKLOADS
from epochmark.workloads._proof import parity, replay_data
from epochmark.workloads.spec import Workload
from tests.engines.conftest import (
    ENGINES,
    LEARNING_BATCH,
    MNIST_MLP,
    SLOW,
    Run,
    answer_of,
    interpreter_of,
    with_injected,
)

REPLAY = Path(__file__).with_name("replay_driver.py")
REFUSALS = Path(__file__).with_name("refusals_driver.py")

STEPS, SLOW_STEPS = 12, 60
"""The whole run of slow engines is one of ``small-mlp``, which learns more slowly; their steps of
``mnist-cnn`` are in test_state.py."""
TELLING_STEPS = 4
"""Of the replay in bfloat16, in which many processors compute slowly."""

GUESSING = math.log(10)

REDUCED = [name for name in ENGINES if "bfloat16" in get_engine(name).info.precisions_of(MNIST_CNN)]


def refused_of(engine: str) -> list[dict[str, str]]:
    """Requests that it offers, and that cannot be met on this machine."""
    info = get_engine(engine).info
    devices = [{"device": f"{kind}:77"} for kind in info.device_kinds if kind != "cpu"]
    return devices + ([{"precision": "tf32"}] if "tf32" in info.precisions else [])


def steps_of(engine: str) -> int:
    return SLOW_STEPS if engine in SLOW else STEPS


def workload_of(engine: str) -> Workload:
    return WORKLOADS["small-mlp"] if engine in SLOW else MNIST_CNN


@pytest.fixture(scope="module")
def record_of(run_engine: Run, injected: None) -> object:
    """The record of an engine's few steps, measured once."""

    @cache
    def record(engine: str) -> Record:
        measured = run_engine(
            engine,
            with_injected(interpreter_of(engine)),
            workload=workload_of(engine),
            max_steps=steps_of(engine),
            batch_size=LEARNING_BATCH,
        )
        assert measured.record.failure is None, measured.stderr.decode(errors="replace")
        return measured.record

    return record


@pytest.fixture(params=ENGINES)
def record(request: pytest.FixtureRequest, record_of: object, all_cores: None) -> Record:
    return record_of(request.param)  # type: ignore[operator, no-any-return]


def test_the_work_is_right_as_far_as_it_goes(record: Record) -> None:
    """Parity, device, laps, loss: nothing that makes a run invalid was found."""
    assert record.headline.validity == "partial", record.findings
    assert record.precision.observed == "float32"
    assert record.device.observed == ["cpu"]
    assert record.device.resolved == "cpu"


def test_laps_add_up(record: Record) -> None:
    assert sum(lap.steps for lap in record.timing.laps) == steps_of(record.engine.name)
    ends = [lap.end_ns for lap in record.timing.laps]
    assert ends == sorted(ends)
    assert record.timing.fit_ns is not None
    assert ends[-1] <= record.timing.fit_ns


def test_the_loss_falls(record: Record) -> None:
    loss = record.timing.laps[-1].loss
    assert loss is not None
    assert loss < 0.97 * GUESSING, "the mean of the first steps is below guessing"


def test_a_short_run_is_evaluated_on_few_test_images(record: Record) -> None:
    accuracy = record.headline.test_accuracy
    assert accuracy is not None
    right = accuracy * workload_of(record.engine.name).proof.tested_samples
    assert right == pytest.approx(round(right), abs=1e-3)


def test_versions_and_settings_are_named(record: Record) -> None:
    info = get_engine(record.engine.name).info
    assert bool(record.engine.versions) == bool(info.distributions)
    assert record.engine.settings


@pytest.mark.parametrize("engine", ["keras-torch", "torch"])
def test_stock_engines_on_pytorch_say_that_they_compile_nothing(
    engine: str, record_of: Callable[[str], Record]
) -> None:
    assert record_of(engine).engine.settings["execution"] == "eager"


@pytest.mark.parametrize(
    ("engine", "workload"),
    [*((name, MNIST_CNN) for name in REDUCED), ("torch", MNIST_MLP), ("jax", MNIST_MLP)],
)
def test_bfloat16_is_observed_when_asked_for(
    engine: str, workload: Workload, tmp_path: Path, mnist_folder: Path
) -> None:
    version, steps = replay_data.REPLAY_VERSION, TELLING_STEPS
    job = (engine, "bfloat16", str(mnist_folder), str(version), str(steps), workload.name)
    losses = answer_of(REPLAY, tmp_path, *job)
    golden = replay_data.golden_losses(workload, get_engine(engine).info.adam_form)[:steps]
    tolerances = parity.replay_tolerances(workload)
    assert parity.judge(losses, golden, tolerances).precision == "bfloat16", losses


@pytest.mark.parametrize("engine", [name for name in ENGINES if refused_of(name)])
def test_what_is_not_there_is_refused_with_what_is(engine: str, tmp_path: Path) -> None:
    """Devices of each kind, and the precision that no CPU has, all in one process; that such a
    refusal is an error of use is tested with the fake engine."""
    requests = refused_of(engine)
    said = answer_of(REFUSALS, tmp_path, engine, *map(json.dumps, requests))
    for request, message in zip(requests, said, strict=True):
        assert message is not None, request
        if "precision" in request:
            assert re.search(r"no tf32 on cpu .*ask for: .*float32", message), message
        else:
            assert re.search(rf"'{request['device']}'.* it finds: .*cpu", message), message
        assert "\n" not in message


def test_a_gpu_that_is_not_there_is_refused_before_anybody_waits() -> None:
    """The managed environment holds the build for the CPU: the other ones are named."""
    interpreter_of("torch")
    with pytest.raises(EpochmarkError, match="torch finds no device 'gpu' here") as raised:
        plan_named(["torch"], RunRequest(engine="torch", device="gpu"), None)
    assert raised.value.exit_code == 2
    assert "epochmark engines install torch --accelerator cuda|rocm" in str(raised.value)
    assert "'epochmark doctor' shows why" in str(raised.value)
